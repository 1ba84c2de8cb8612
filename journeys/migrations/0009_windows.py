from django.db import migrations, models

from journeys.migrations._patiently import Patiently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('journeys', '0008_trigger_event'),
    ]

    operations = [
        Patiently([migrations.AddField(
            model_name='journey',
            name='quiet_hours',
            field=models.JSONField(blank=True, null=True),
        )]),
        Patiently([
            migrations.AddField(
                model_name='journeystep',
                name='delay_from',
                field=models.CharField(db_default='previous_step', default='previous_step', max_length=20),
            ),
            migrations.AddField(
                model_name='journeystep',
                name='window',
                field=models.JSONField(blank=True, null=True),
            ),
        ]),
    ]
