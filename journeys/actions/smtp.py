"""One message over an open SMTP connection: smtplib's `sendmail`, in two trips to the server in place of four.

Where the server says PIPELINING (RFC 2920), sender, recipient and DATA go out in one packet. Errors are smtplib's own.
"""

import re
import smtplib

_DOT = re.compile(rb"(?m)^\.")


def send(line: smtplib.SMTP, sender: str, to: str, content: bytes) -> None:
    """Send `content`, whose lines end with CRLF. Raises what `smtplib.SMTP.sendmail` does."""
    line.ehlo_or_helo_if_needed()
    if not line.has_extn("pipelining"):
        line.sendmail(sender, [to], content)
        return
    size = f" SIZE={len(content)}" if line.has_extn("size") else ""
    line.send(f"MAIL FROM:<{sender}>{size}\r\nRCPT TO:<{to}>\r\nDATA\r\n")
    mail, recipient, data = line.getreply(), line.getreply(), line.getreply()
    fault = _fault(mail, recipient, data, sender, to)
    if fault is None:
        _write(line, content)
        return
    if data[0] == 354:  # It waits for a message although it has nobody to give it to: an empty one goes to nobody.
        line.send(".\r\n")
        line.getreply()
    _give_up(line, fault)


def _write(line: smtplib.SMTP, content: bytes) -> None:
    end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    line.send(_DOT.sub(b"..", content) + end)
    code, words = line.getreply()
    if code != 250:
        _give_up(line, smtplib.SMTPDataError(code, words))


Reply = tuple[int, bytes]


def _fault(mail: Reply, recipient: Reply, data: Reply, sender: str, to: str) -> smtplib.SMTPException | None:
    """The first of the three answers that is a refusal; those behind it only follow from it."""
    if mail[0] != 250:
        return smtplib.SMTPSenderRefused(*mail, sender)
    if recipient[0] not in (250, 251):
        return smtplib.SMTPRecipientsRefused({to: recipient})
    return None if data[0] == 354 else smtplib.SMTPDataError(*data)


def _give_up(line: smtplib.SMTP, fault: smtplib.SMTPException) -> None:
    codes = [code for code, _ in fault.recipients.values()] if isinstance(fault, smtplib.SMTPRecipientsRefused) else []
    if 421 in codes or (isinstance(fault, smtplib.SMTPResponseException) and fault.smtp_code == 421):
        line.close()  # The server has, too.
    else:
        line.rset()
    raise fault
