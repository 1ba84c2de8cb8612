from django.db import migrations, models

from journeys.migrations._patiently import Patiently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('journeys', '0013_frequency_caps'),
    ]

    operations = [
        Patiently([
            migrations.AddField(
                model_name='journey',
                name='exit_condition',
                field=models.JSONField(blank=True, null=True),
            ),
            migrations.AddField(
                model_name='journey',
                name='exit_on',
                field=models.JSONField(blank=True, db_default=[], default=list),
            ),
            migrations.AddField(
                model_name='journey',
                name='goal',
                field=models.JSONField(blank=True, null=True),
            ),
            migrations.AddField(
                model_name='journey',
                name='holdout_percent',
                field=models.PositiveSmallIntegerField(db_default=0, default=0),
            ),
        ]),
        Patiently([migrations.AddField(
            model_name='journeyversion',
            name='listens_to',
            field=models.JSONField(db_default=[], default=list),
        )]),
        Patiently([
            migrations.AddField(
                model_name='userjourney',
                name='goal_at',
                field=models.DateTimeField(null=True),
            ),
            migrations.AddField(
                model_name='userjourney',
                name='leaves',
                field=models.CharField(max_length=100, null=True),
            ),
            migrations.AlterField(
                model_name='userjourney',
                name='status',
                field=models.CharField(choices=[('active', 'active'), ('paused', 'paused'), ('completed', 'completed'), ('failed', 'failed'), ('exited', 'exited'), ('held_out', 'held out')], default='active', max_length=10),
            ),
        ]),
        Patiently([migrations.AlterField(
            model_name='tally',
            name='what',
            field=models.CharField(choices=[('started', 'started'), ('completed', 'completed'), ('failed', 'failed'), ('exited', 'exited'), ('success', 'success'), ('skipped', 'skipped'), ('converted', 'reached the goal'), ('held_out', 'held out'), ('held_out_converted', 'held out, and reached the goal')], max_length=20),
        )]),
        Patiently([migrations.AlterField(
            model_name='tallytotal',
            name='what',
            field=models.CharField(choices=[('started', 'started'), ('completed', 'completed'), ('failed', 'failed'), ('exited', 'exited'), ('success', 'success'), ('skipped', 'skipped'), ('converted', 'reached the goal'), ('held_out', 'held out'), ('held_out_converted', 'held out, and reached the goal')], max_length=20),
        )]),
    ]
