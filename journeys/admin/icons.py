"""Symbols for kinds, from the Material font that the admin brings along."""

ICONS = {
    "send_email": "mail",
    "send_telegram": "send",
    "send_push": "notifications",
    "apply_tag": "new_label",
    "remove_tag": "label_off",
    "grant_reward": "redeem",
    "update_contact": "edit_note",
    "start_journey": "play_circle",
    "trigger_webhook": "webhook",
    "schedule_next": "schedule",
    "branch": "alt_route",
    "ab_split": "percent",
    "exit_journey": "logout",
    "wait_for_event": "hourglass_top",
    "email": "mail",
    "telegram": "send",
    "push": "notifications",
    "webhook": "webhook",
}


def icon_of(kind: str) -> str:
    return ICONS.get(kind, "bolt")
