from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from journeys.migrations._patiently import Patiently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('journeys', '0012_intakes'),
    ]

    operations = [
        migrations.CreateModel(
            name='FrequencyCap',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('channel', models.CharField(blank=True, default='', max_length=10)),
                ('at_most', models.PositiveSmallIntegerField()),
                ('period_hours', models.PositiveIntegerField()),
                ('created_at', models.DateTimeField(editable=False)),
                ('updated_at', models.DateTimeField(editable=False)),
            ],
            options={
                'db_table': 'frequency_caps',
                'ordering': ('channel', 'period_hours'),
                'constraints': [models.UniqueConstraint(fields=('channel', 'period_hours'), name='one_cap_per_channel_and_period', violation_error_message='There is already a cap of this channel for this period.'), models.CheckConstraint(condition=models.Q(('at_most__gte', 1), ('period_hours__gte', 1)), name='cap_lets_some_through')],
            },
        ),
        Patiently([
            migrations.AddField(
                model_name='message',
                name='is_transactional',
                field=models.BooleanField(db_default=False, default=False),
            ),
        ]),
        Patiently([
            migrations.AddField(
                model_name='userjourney',
                name='capped_until',
                field=models.DateTimeField(null=True),
            ),
        ]),
        AddIndexConcurrently(
            model_name='userjourney',
            index=models.Index(condition=models.Q(('capped_until__isnull', False)), fields=['capped_until'], name='runs_capped'),
        ),
    ]
