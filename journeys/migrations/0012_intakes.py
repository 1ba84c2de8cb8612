import django.db.models.deletion
from django.db import migrations, models

from journeys.migrations._patiently import Patiently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('journeys', '0011_segments'),
    ]

    operations = [
        Patiently([
            migrations.AddField(
                model_name='segment',
                name='noted_at',
                field=models.DateTimeField(editable=False, null=True),
            ),
            migrations.AddField(
                model_name='segment',
                name='noting_ms',
                field=models.PositiveIntegerField(db_default=0, default=0, editable=False),
            ),
        ]),
        Patiently([
            migrations.CreateModel(
                name='Lookout',
                fields=[
                    ('journey', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='journeys.journey')),
                    ('rule', models.CharField(max_length=255)),
                    ('looked_at', models.DateTimeField()),
                ],
                options={
                    'db_table': 'lookouts',
                },
            ),
        ]),
        Patiently([
            migrations.CreateModel(
                name='Intake',
                fields=[
                    ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                    ('key', models.CharField(max_length=255)),
                    ('properties', models.JSONField(default=dict)),
                    ('people', models.PositiveIntegerField(default=0)),
                    ('created_at', models.DateTimeField()),
                    ('finished_at', models.DateTimeField(null=True)),
                    ('journey', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='intakes', to='journeys.journey')),
                ],
                options={
                    'db_table': 'intakes',
                    'indexes': [models.Index(condition=models.Q(('finished_at', None)), fields=['created_at'], name='intakes_unfinished')],
                    'constraints': [models.UniqueConstraint(fields=('journey', 'key'), name='one_intake_of_each_key')],
                },
            ),
        ]),
        Patiently([
            migrations.CreateModel(
                name='IntakeContact',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('contact_id', models.UUIDField()),
                    ('entry', models.CharField(blank=True, db_default='', default='', max_length=100)),
                    ('intake', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='journeys.intake')),
                ],
                options={
                    'db_table': 'intake_contacts',
                    'constraints': [models.UniqueConstraint(fields=('intake', 'contact_id'), name='contact_once_in_intake')],
                },
            ),
        ]),
        Patiently([
            migrations.CreateModel(
                name='SegmentMember',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('contact_id', models.UUIDField()),
                    ('number', models.PositiveIntegerField(default=1)),
                    ('entered_at', models.DateTimeField()),
                    ('left_at', models.DateTimeField(null=True)),
                    ('segment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='journeys.segment')),
                ],
                options={
                    'db_table': 'segment_members',
                    'constraints': [models.UniqueConstraint(fields=('segment', 'contact_id'), name='one_membership_of_a_contact')],
                },
            ),
        ]),
    ]
