from django.db import migrations, models

from journeys.migrations._patiently import Patiently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('journeys', '0009_windows'),
    ]

    operations = [
        Patiently([
            migrations.AddField(
                model_name='journey',
                name='reentry',
                field=models.CharField(choices=[('once', 'never: each person once'), ('after_finish', 'whenever they are out of it'), ('after_days', 'some days after they last entered')], db_default='once', default='once', max_length=20),
            ),
            migrations.AddField(
                model_name='journey',
                name='reentry_days',
                field=models.PositiveSmallIntegerField(blank=True, null=True),
            ),
            migrations.AddField(
                model_name='journey',
                name='was_open_again',
                field=models.BooleanField(db_default=False, default=False, editable=False),
            ),
        ]),
    ]
