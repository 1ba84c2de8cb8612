from django.db import migrations, models

from journeys.migrations._patiently import Patiently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('journeys', '0005_lanes'),
    ]

    operations = [
        Patiently([
            migrations.AddField(
                model_name='userjourney',
                name='awaits_event',
                field=models.CharField(max_length=200, null=True),
            ),
            migrations.AddField(
                model_name='userjourney',
                name='listens_from',
                field=models.DateTimeField(null=True),
            ),
        ]),
    ]
