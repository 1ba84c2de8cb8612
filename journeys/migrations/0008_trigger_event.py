from django.db import migrations, models

from journeys.migrations._patiently import Patiently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('journeys', '0007_parked_runs'),
    ]

    operations = [
        Patiently([
            migrations.AddField(
                model_name='journeyversion',
                name='trigger_event',
                field=models.CharField(max_length=200, null=True),
            ),
        ]),
    ]
