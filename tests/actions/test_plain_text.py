import pytest

from journeys.actions.plain_text import plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<h1>Title</h1>\n\n  <p>Some   <b>bold</b>\ntext</p>", "Title\n\nSome bold text"),
        ("<ul><li>one</li><li>two</li></ul>end", "- one\n- two\n\nend"),
        ("<table><tr><td>Plan</td><td>Pro</td></tr><tr><td>Seats</td><td>3</td></tr></table>", "Plan Pro\nSeats 3"),
        ('<a href="https://e.com/a?b=1&amp;c=2">Go</a>', "Go (https://e.com/a?b=1&c=2)"),
        ('<a href="https://e.com">https://e.com</a>', "https://e.com"),
        ('<a href="mailto:a@e.com">a@e.com</a> <a href="#top">up</a>', "a@e.com up"),
        ('<a href="https://e.com"><img src="x" alt="Logo"></a>', "Logo (https://e.com)"),
        ("&lt;b&gt; &amp; &eacute;&nbsp;!", "<b> & é !"),
        ("<head><title>T</title><style>p{}</style></head><script>x()</script><p>Body</p>", "Body"),
        ('<div style="DISPLAY : none">secret <img> <b>x</b></div><p hidden>y</p>shown', "shown"),
        ("<p hidden>unclosed<p>shown", "shown"),
        ("a<hr>b", f"a\n\n{'-' * 40}\n\nb"),
        ("", ""),
    ],
)
def test_it_reads_as_a_person_would(html: str, text: str) -> None:
    assert plain_text(html) == text
