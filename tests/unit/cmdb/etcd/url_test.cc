#include "lib/cmdb/etcd/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastcontainer::etcd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Endpoints(const Options& options) {
  std::string all;
  for (const Endpoint& endpoint : options.endpoints) all += endpoint.ToString() + " ";
  return all;
}

TEST(EtcdUrl, NamesEndpointsWithTheirPorts) {
  EXPECT_EQ(Endpoints(ParseUrl("etcd://a:1,b").value()), "a:1 b:2379 ");
  EXPECT_EQ(Endpoints(ParseUrl("etcd://10.0.0.1/").value()), "10.0.0.1:2379 ");
  EXPECT_EQ(Endpoints(ParseUrl("etcd://[::1]:7,[fe80::1]").value()), "[::1]:7 [fe80::1]:2379 ");
  EXPECT_EQ(ParseUrl("etcd://[::1]:7").value().endpoints[0].host, "::1");
}

TEST(EtcdUrl, OptionsNameFilesAndAUser) {
  const Options options =
      ParseUrl("etcd://a/?ca=/etc/ca.pem&cert=/c&key=/k&user=me%40home&password_file=/a%20b").value();
  EXPECT_EQ(options.ca, "/etc/ca.pem");
  EXPECT_EQ(options.cert, "/c");
  EXPECT_EQ(options.key, "/k");
  EXPECT_EQ(options.user, "me@home");
  EXPECT_EQ(options.password_file, "/a b");
}

TEST(EtcdUrl, TlsIsMeantByTheSchemeOrByItsFiles) {
  EXPECT_FALSE(ParseUrl("etcd://a").value().tls);
  EXPECT_TRUE(ParseUrl("etcds://a").value().tls);
  EXPECT_TRUE(ParseUrl("etcd://a?ca=/f").value().tls);
}

TEST(EtcdUrl, WhatIsNotUnderstoodIsRefusedAndTheErrorSaysWhatIsAccepted) {
  for (const char* url : {"etcd:a",
                          "http://a",
                          "etcd://",
                          "etcd://a,,b",
                          "etcd://a:0",
                          "etcd://a:65536",
                          "etcd://a:x",
                          "etcd://a:",
                          "etcd://::1",
                          "etcd://[::1",
                          "etcd://[::1]x",
                          "etcd://a/b",
                          "etcd://a?x=/y",
                          "etcd://a?ca",
                          "etcd://a?ca=",
                          "etcd://a?ca=relative",
                          "etcd://a?cert=/c",
                          "etcd://a?user=u",
                          "etcd://a?password_file=/p",
                          "etcd://a?ca=/%2",
                          "etcd://a?ca=/%00"}) {
    const absl::Status status = ParseUrl(url).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_THAT(std::string(status.message()), HasSubstr("password_file=/FILE")) << url;
  }
}

TEST(EtcdUrl, APasswordInTheUrlIsRefusedAndNotRepeated) {
  for (const char* url : {"etcd://me:secret@a", "etcd://a?user=me&password=secret"}) {
    const absl::Status status = ParseUrl(url).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace fastcontainer::etcd
