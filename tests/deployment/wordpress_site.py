"""WordPress as Debian packs it, unmodified: its programs where the package has them, its database on a machine of its own, and its
files in one folder that all hosts see."""
import glob
import os
import re
import urllib.parse
import xmlrpc.client

from cloud import HERE, wait_until

DATABASE = "10.77.0.20"
PACKAGE = "/usr/share/wordpress"
USER, PASSWORD = "writer", "correct horse"


class WordPress:
    """`start()` has a running database and the folder; `environment()` is what a container of it needs."""

    def __init__(self, cloud, key):
        self.cloud, self.key = cloud, key
        self.folder = cloud.path("wordpress")

    def start(self):
        self.start_database()
        self.link_programs()
        self.write("wp-config.php", f"""<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', 'wordpress');
define('DB_HOST', '{DATABASE}');
define('WP_HOME', 'http://{self.key}');
define('WP_SITEURL', WP_HOME);
define('WP_CONTENT_DIR', '{self.folder}/wp-content');
define('FS_METHOD', 'direct');
define('DISABLE_WP_CRON', true);          // no request of its own through the proxy
define('WP_HTTP_BLOCK_EXTERNAL', true);   // nor to the world
define('AUTOMATIC_UPDATER_DISABLED', true);
$table_prefix = 'wp_';
require_once ABSPATH . 'wp-settings.php';
""")
        # The programs are links: without this they would look for the configuration where they really are.
        self.write("prepend.php", f"<?php\ndefine('ABSPATH', '{self.folder}/');\n")

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def link_programs(self):
        uploads = os.path.join(self.folder, "wp-content", "uploads")
        os.makedirs(uploads)
        for folder in (os.path.dirname(uploads), uploads):
            os.chmod(folder, 0o777)
        for path in glob.glob(f"{PACKAGE}/*"):
            name = os.path.basename(path)
            if name not in ("wp-config.php", "wp-content"):
                os.symlink(path, os.path.join(self.folder, name))
        for name in ("themes", "plugins"):
            os.symlink(f"{PACKAGE}/wp-content/{name}", os.path.join(self.folder, "wp-content", name))

    def start_database(self):
        cloud, data = self.cloud, self.cloud.path("database")
        self.machine = cloud.network.add_server("database", DATABASE)
        options = ["--no-defaults", f"--datadir={data}", "--user=root", "--innodb-log-file-size=8M",
                   "--innodb-buffer-pool-size=32M"]
        self.machine.run("mariadb-install-db", *options, "--skip-test-db", "--auth-root-authentication-method=normal")
        with open(cloud.path("init.sql"), "w") as file:
            file.write("CREATE DATABASE wordpress;\nCREATE USER wordpress@'%' IDENTIFIED BY 'wordpress';\n"
                       "GRANT ALL ON wordpress.* TO wordpress@'%';\n")
        child = cloud.spawn(self.machine, "database", "mariadbd", *options, f"--socket={cloud.path('db.sock')}",
                            f"--pid-file={cloud.path('db.pid')}", f"--bind-address={DATABASE}",
                            f"--init-file={cloud.path('init.sql')}", "--skip-name-resolve")
        wait_until(lambda: cloud.ended(child) or self.machine.run("ss", "-Hltn", "sport = :3306").stdout,
                   "the database listens", 60)

    def titles(self):
        """Of all posts, as the database has them, without blanks."""
        return self.machine.run("mariadb", "--no-defaults", "-u", "root", f"--socket={self.cloud.path('db.sock')}", "-N", "-e",
                                "SELECT REPLACE(post_title, ' ', '-') FROM wordpress.wp_posts WHERE post_type = 'post'").stdout.split()

    def environment(self):
        environment = dict(self.cloud.apache_class()["environment"])
        return {**environment, "SITE": self.folder, "CONF": os.path.join(HERE, "wordpress_site", "apache.conf"),
                "BASE_CONF": self.cloud.path("site", "apache.conf")}

    # ---- as its users see it ---------------------------------------------------------------------------

    def request(self, path, method="GET", **options):
        return self.cloud.request(self.key, path, method, **options)

    def install(self, **options):
        """The form of its installation, filled in; `options` are request()'s."""
        form = {"weblog_title": "survivor", "user_name": USER, "admin_password": PASSWORD, "admin_password2": PASSWORD,
                "pw_weak": "1", "admin_email": "writer@example.com", "blog_public": "0", "language": ""}
        answer = self.request("/wp-admin/install.php?step=2", "POST", body=urllib.parse.urlencode(form),
                              headers={"Content-Type": "application/x-www-form-urlencoded"}, **options)
        assert answer.status == 200 and b"Success!" in answer.body, (answer.status, answer.body[-2000:])

    @staticmethod
    def message(method, *arguments):
        """XML-RPC, as its clients for telephones use it."""
        return xmlrpc.client.dumps((1, USER, PASSWORD, *arguments), method)

    def call(self, method, *arguments, **options):
        answer = self.request("/xmlrpc.php", "POST", body=self.message(method, *arguments),
                              headers={"Content-Type": "text/xml"}, **options)
        assert answer.status == 200, (answer.status, answer.body[-2000:])
        return xmlrpc.client.loads(answer.body)[0][0]

    def publish(self, title, text):
        """The new post's path."""
        number = self.call("wp.newPost", {"post_title": title, "post_content": text, "post_status": "publish"})
        return f"/?p={number}"

    def upload(self, name, data):
        """The new file's path."""
        file = self.call("wp.uploadFile", {"name": name, "type": "image/png", "bits": xmlrpc.client.Binary(data)})
        return re.sub(r"^http://[^/]+", "", file["url"])
