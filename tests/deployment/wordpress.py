"""R13, R14: an unmodified WordPress whose host dies loses nothing: not its posts, not its files."""
from cloud import Cloud
from load import OpenLoop, when_half_way
from wordpress_site import WordPress

# The first bytes of a PNG, so that WordPress takes it for one, and then whatever there is.
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 512


def running(cloud):
    site = WordPress(cloud, "blog.test")
    site.start()
    cloud.site("blog", environment=site.environment(), concurrency=8, ready={"http": "/readme.html", "timeout_s": 60})
    site.install()
    return site


def lose_the_host(cloud):
    before = cloud.placement("blog")
    load = OpenLoop(cloud, "blog", rate=4, seconds=5)
    when_half_way(cloud, load, 20)
    cloud.network.drop(before[0])
    load.check()
    after = cloud.placement("blog")
    assert after[0] != before[0] and after[1] == before[1] + 1, (before, after)


def test_R13_a_post_written_before_the_failure_is_there_after_it():
    with Cloud(hosts=2) as cloud:
        site = running(cloud)
        path = site.publish("before the failure", "written while the first host lived")
        assert b"written while the first host lived" in site.request(path).body
        lose_the_host(cloud)
        answer = site.request(path)
        assert answer.status == 200 and b"written while the first host lived" in answer.body, answer.status
        assert b"before the failure" in site.request("/").body
        later = site.publish("after the failure", "written on the second host")
        assert b"written on the second host" in site.request(later).body


def test_R14_a_file_uploaded_before_the_failure_is_there_after_it():
    with Cloud(hosts=2) as cloud:
        site = running(cloud)
        path = site.upload("picture.png", PICTURE)
        assert site.request(path).body == PICTURE
        lose_the_host(cloud)
        answer = site.request(path)
        assert answer.status == 200 and answer.body == PICTURE, (answer.status, len(answer.body))
        again = site.upload("second.png", PICTURE + b"2")
        assert site.request(again).body == PICTURE + b"2"
