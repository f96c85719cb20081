// TLS, client certificates, users and passwords, against a real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "lib/cmdb/etcd/etcd.h"
#include "tests/unit/cmdb/etcd/etcd_server.h"

namespace fastcontainer::etcd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// An authority, a certificate of 127.0.0.1 and one of a client, and another authority that signed nothing.
class Certificates {
 public:
  Certificates() {
    ok_ = Authority("ca") && Authority("other") && Signed("server", "subjectAltName=IP:127.0.0.1") &&
          Signed("client", "extendedKeyUsage=clientAuth");
  }
  bool ok() const { return ok_; }
  std::string File(const std::string& name) const { return folder_.File(name); }

 private:
  bool Openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), FindProgram("openssl"));
    return RunProgram(std::move(arguments), File("openssl.log")) == 0;
  }
  bool Authority(const std::string& name) {
    return Openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=" + name, "-keyout", File(name + ".key"), "-out",
                    File(name + ".pem")});
  }
  bool Signed(const std::string& name, const std::string& extension) {
    std::ofstream(File(name + ".ext")) << extension << "\n";
    return Openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    "/CN=" + name, "-keyout", File(name + ".key"), "-out", File(name + ".csr")}) &&
           Openssl({"x509", "-req", "-in", File(name + ".csr"), "-CA", File("ca.pem"), "-CAkey",
                    File("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", File(name + ".ext"), "-out",
                    File(name + ".pem")});
  }
  TemporaryFolder folder_;
  bool ok_ = false;
};

class EtcdSecurity : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Cluster::Installed() || FindProgram("openssl").empty())
      GTEST_SKIP() << "etcd or openssl is not installed";
    reactor_ = EpollReactor::Create().value();
  }
  std::unique_ptr<Cmdb> Open(const std::string& url) { return EtcdCmdb::Open(url, *reactor_).value(); }
  std::string ErrorOf(const std::string& url) {
    const std::unique_ptr<Cmdb> cmdb = Open(url);
    return std::string(GetNow(*reactor_, *cmdb, "/a").status().ToString());
  }
  int Etcdctl(const Cluster& cluster, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {FindProgram("etcdctl"), "--endpoints=" + cluster.Endpoint(0)});
    return RunProgram(std::move(arguments), cluster.folder().File("etcdctl.log"));
  }
  void Write(const std::string& file, const std::string& text) { std::ofstream(file) << text; }

  std::unique_ptr<EpollReactor> reactor_;
};

TEST_F(EtcdSecurity, TlsWithClientCertificatesIsHeldByBothSides) {
  const Certificates made;
  ASSERT_TRUE(made.ok());
  Cluster cluster(1,
                  {"--cert-file=" + made.File("server.pem"), "--key-file=" + made.File("server.key"),
                   "--trusted-ca-file=" + made.File("ca.pem"), "--client-cert-auth"},
                  "https");
  const std::string ca = "?ca=" + made.File("ca.pem");
  const std::string mine = "&cert=" + made.File("client.pem") + "&key=" + made.File("client.key");
  const std::unique_ptr<Cmdb> cmdb = Open(cluster.url() + "/" + ca + mine);
  ASSERT_TRUE(AwaitStore(*reactor_, *cmdb));
  EventLog log;
  cmdb->Watch("/", 0, log.Callback());
  const std::string big(300'000, 'x');
  EXPECT_EQ(TxnNow(*reactor_, *cmdb, {{"/a", 0}}, {Put("/a", big)}).outcome, TxnOutcome::kOk);
  EXPECT_EQ(GetNow(*reactor_, *cmdb, "/a")->value, big);
  EXPECT_TRUE(RunLoop(*reactor_, [&] { return log.size() == 1; }));

  EXPECT_THAT(ErrorOf(cluster.url() + ca), HasSubstr("TLS: "));
  EXPECT_THAT(ErrorOf(cluster.url() + "/?ca=" + made.File("other.pem") + mine),
              HasSubstr("certificate verify failed"));
  const std::string named = "etcds://localhost:" + std::to_string(cluster.Port(0)) + ca + mine;
  EXPECT_THAT(ErrorOf(named), HasSubstr("ostname mismatch"));
  EXPECT_THAT(ErrorOf(cluster.url()), HasSubstr("etcd 127.0.0.1"));  // no TLS at all
}

TEST_F(EtcdSecurity, FilesThatCannotBeUsedAreNamed) {
  const Certificates made;
  ASSERT_TRUE(made.ok());
  const auto error = [&](const std::string& query) {
    return std::string(EtcdCmdb::Open("etcd://127.0.0.1/?" + query, *reactor_).status().ToString());
  };
  EXPECT_THAT(error("ca=/nowhere.pem"), HasSubstr("/nowhere.pem"));
  EXPECT_THAT(error("ca=" + made.File("ca.key")), HasSubstr("ca.key"));
  EXPECT_THAT(error("cert=" + made.File("client.pem") + "&key=" + made.File("server.key")),
              HasSubstr("server.key"));
}

TEST_F(EtcdSecurity, AUserIsAuthenticatedAndItsTokenRenewed) {
  Cluster cluster(1);
  const std::unique_ptr<Cmdb> anonymous = Open(cluster.url());
  ASSERT_TRUE(AwaitStore(*reactor_, *anonymous));
  const std::string password = cluster.folder().File("password");
  const std::string url = cluster.url() + "/?user=root&password_file=" + password;
  Write(password, "secret\n");
  // Before users are asked for, naming one does no harm.
  const std::unique_ptr<Cmdb> cmdb = Open(url);
  ASSERT_TRUE(GetNow(*reactor_, *cmdb, "/").ok());
  ASSERT_EQ(Etcdctl(cluster, {"user", "add", "root:secret"}), 0);
  ASSERT_EQ(Etcdctl(cluster, {"user", "grant-role", "root", "root"}), 0);
  ASSERT_EQ(Etcdctl(cluster, {"auth", "enable"}), 0);

  EXPECT_FALSE(GetNow(*reactor_, *anonymous, "/").ok());
  EXPECT_EQ(TxnNow(*reactor_, *anonymous, {}, {Put("/b", "1")}).outcome, TxnOutcome::kUnavailable);
  const std::unique_ptr<Cmdb> known = Open(url);
  ASSERT_EQ(TxnNow(*reactor_, *known, {}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
  const std::string wrong = cluster.folder().File("wrong");
  Write(wrong, "guess\n");
  EXPECT_THAT(ErrorOf(cluster.url() + "/?user=root&password_file=" + wrong), HasSubstr("\"root\""));
  EXPECT_THAT(ErrorOf(cluster.url() + "/?user=root&password_file=/nowhere"), HasSubstr("/nowhere"));

  // All tokens end.
  const std::string root = "--user=root:secret";
  ASSERT_EQ(Etcdctl(cluster, {root, "auth", "disable"}), 0);
  ASSERT_EQ(Etcdctl(cluster, {"auth", "enable"}), 0);
  const TxnResult result = TxnNow(*reactor_, *known, {}, {Put("/a", "2")});
  EXPECT_EQ(result.outcome, TxnOutcome::kOk) << result.error;
}

TEST_F(EtcdSecurity, AWatchThatIsRefusedForAnOldTokenIsAskedForAgain) {
  Cluster cluster(1);
  const std::unique_ptr<Cmdb> anonymous = Open(cluster.url());
  ASSERT_TRUE(AwaitStore(*reactor_, *anonymous));
  const std::string password = cluster.folder().File("password");
  Write(password, "secret");
  ASSERT_EQ(Etcdctl(cluster, {"user", "add", "root:secret"}), 0);
  ASSERT_EQ(Etcdctl(cluster, {"user", "grant-role", "root", "root"}), 0);
  ASSERT_EQ(Etcdctl(cluster, {"auth", "enable"}), 0);
  const std::unique_ptr<Cmdb> cmdb = Open(cluster.url() + "/?user=root&password_file=" + password);
  EventLog before;
  cmdb->Watch("/", 0, before.Callback());
  ASSERT_EQ(TxnNow(*reactor_, *cmdb, {}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return before.size() == 1; }));
  ASSERT_EQ(Etcdctl(cluster, {"--user=root:secret", "auth", "disable"}), 0);
  ASSERT_EQ(Etcdctl(cluster, {"auth", "enable"}), 0);
  EventLog after;
  cmdb->Watch("/", 0, after.Callback());
  ASSERT_TRUE(
      RunLoop(*reactor_, [&] { return !after.lines().empty() && after.lines().back() == "+/a=1@2"; }));
  ASSERT_EQ(TxnNow(*reactor_, *cmdb, {}, {Put("/a", "2")}).outcome, TxnOutcome::kOk);
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return before.lines().back() == "+/a=2@3"; }));
}

}  // namespace
}  // namespace fastcontainer::etcd
