import django.db.models.deletion
from django.db import migrations, models

from journeys.migrations._patiently import Patiently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('journeys', '0004_vacuum_sooner'),
    ]

    operations = [
        Patiently([
            migrations.AddField(
                model_name='journeystep',
                name='lane',
                field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=100),
            ),
            migrations.AddField(
                model_name='journeystep',
                name='lanes',
                field=models.JSONField(blank=True, db_default=[], default=list),
            ),
            migrations.AddField(
                model_name='journeystep',
                name='parent',
                field=models.ForeignKey(blank=True, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='children', to='journeys.journeystep'),
            ),
        ]),
        Patiently([migrations.AddField(
            model_name='userjourney',
            name='exited_at',
            field=models.DateTimeField(null=True),
        )]),
    ]
