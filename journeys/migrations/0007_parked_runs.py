from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('journeys', '0006_waits'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='userjourney',
            index=models.Index(models.F('journey'), models.F('status'), models.ExpressionWrapper(models.Q(('due_at__isnull', True)), output_field=models.BooleanField()), name='runs_journey_parked'),
        ),
        RemoveIndexConcurrently(
            model_name='userjourney',
            name='runs_journey_status',
        ),
    ]
