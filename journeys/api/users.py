"""/api/v1/users: the people that journeys talk to, with their devices and tags."""

from uuid import UUID

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from journeys.api import schema
from journeys.api.audience_answers import ContactOut, DeviceList, DeviceOut, TagList, TagOut
from journeys.api.base import ApiView, answer
from journeys.api.bodies import ContactBody, DeviceBody
from journeys.api.reading import parse
from journeys.engine import contacts
from journeys.engine.clock import database_clock
from journeys.models import Contact, ContactTag, Device

TAGS = ("users",)
CHANGE = ("journeys.change_contact",)
VIEW = ("journeys.view_contact",)


class UserView(ApiView):
    needs = {
        "GET": VIEW,
        "PUT": ("journeys.add_contact", "journeys.change_contact"),
        "DELETE": ("journeys.delete_contact",),
    }

    @schema.operation(
        "Get a person", answers={200: ContactOut}, refuses=(404,), parameters=(schema.USER_ID,), tags=TAGS
    )
    def get(self, request: Request, user_id: str) -> Response:
        return answer(ContactOut.of(_found(user_id)))

    @schema.operation(
        "Make or change a person",
        body=ContactBody,
        answers={200: ContactOut, 201: ContactOut},
        refuses=(404,),
        parameters=(schema.USER_ID,),
        tags=TAGS,
    )
    def put(self, request: Request, user_id: str) -> Response:
        """What is named is changed; attributes are merged. Somebody who was deleted may come back this way."""
        changes = parse(ContactBody, request.data).changes()
        contact, created = contacts.upsert_contact(user_id, changes, database_clock())
        return answer(ContactOut.of(contact), 201 if created else 200)

    @schema.operation(
        "Delete a person and all that is known of them",
        answers={204: None},
        refuses=(404,),
        parameters=(schema.USER_ID,),
        tags=TAGS,
    )
    def delete(self, request: Request, user_id: str) -> Response:
        if not contacts.delete_contact(user_id, database_clock()):
            raise Http404
        return Response(status=204)


class DevicesView(ApiView):
    needs = {"GET": VIEW, "POST": CHANGE}

    @schema.operation(
        "List a person's devices",
        answers={200: DeviceList},
        refuses=(404,),
        parameters=(schema.USER_ID,),
        tags=TAGS,
    )
    def get(self, request: Request, user_id: str) -> Response:
        devices = Device.objects.filter(contact=_found(user_id)).order_by("id")
        return answer(DeviceList([DeviceOut.of(device) for device in devices]))

    @schema.operation(
        "Add a device to a person",
        body=DeviceBody,
        answers={200: DeviceOut, 201: DeviceOut},
        refuses=(404,),
        parameters=(schema.USER_ID,),
        tags=TAGS,
    )
    def post(self, request: Request, user_id: str) -> Response:
        """A token that is known already is taken over: 200."""
        device = contacts.NewDevice(**parse(DeviceBody, request.data).root.model_dump())
        try:
            made, created = contacts.add_device(user_id, device, database_clock())
        except Contact.DoesNotExist as error:
            raise Http404 from error
        return answer(DeviceOut.of(made), 201 if created else 200)


class DeviceView(ApiView):
    needs = {"DELETE": CHANGE}

    @schema.operation(
        "Take a device from a person",
        answers={204: None},
        refuses=(404,),
        parameters=(schema.USER_ID,),
        tags=TAGS,
    )
    def delete(self, request: Request, user_id: str, device_id: UUID) -> Response:
        try:
            removed = contacts.remove_device(user_id, device_id)
        except Contact.DoesNotExist as error:
            raise Http404 from error
        if not removed:
            raise Http404
        return Response(status=204)


class TagsView(ApiView):
    needs = {"GET": VIEW}

    @schema.operation(
        "List a person's tags", answers={200: TagList}, refuses=(404,), parameters=(schema.USER_ID,), tags=TAGS
    )
    def get(self, request: Request, user_id: str) -> Response:
        links = ContactTag.objects.filter(contact=_found(user_id)).select_related("tag").order_by("tag__name")
        return answer(TagList([TagOut.of(link) for link in links]))


class TagView(ApiView):
    needs = {"PUT": CHANGE, "DELETE": CHANGE}

    @schema.operation(
        "Tag a person",
        answers={200: TagOut, 201: TagOut},
        refuses=(404,),
        parameters=(schema.USER_ID, schema.TAG),
        tags=TAGS,
    )
    def put(self, request: Request, user_id: str, tag: str) -> Response:
        """201 if the tag is new to them. It needs no body."""
        try:
            link, created = contacts.add_tag(user_id, tag, database_clock())
        except Contact.DoesNotExist as error:
            raise Http404 from error
        return answer(TagOut.of(link), 201 if created else 200)

    @schema.operation(
        "Take a tag from a person",
        answers={204: None},
        refuses=(404,),
        parameters=(schema.USER_ID, schema.TAG),
        tags=TAGS,
    )
    def delete(self, request: Request, user_id: str, tag: str) -> Response:
        try:
            removed = contacts.remove_tag(user_id, tag)
        except Contact.DoesNotExist as error:
            raise Http404 from error
        if not removed:
            raise Http404
        return Response(status=204)


def _found(user_id: str) -> Contact:
    contact = Contact.objects.filter(user_id=user_id).first()
    if contact is None:
        raise Http404
    return contact
