#include "lib/cmdb/postgresql/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "lib/cmdb/postgresql/answers.h"

namespace fastcontainer::postgresql {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PostgresUrl, IsLibpqsButForTheSchema) {
  const Options options = ParseUrl("postgresql://me@db:5433/fc?schema=fc_2&sslmode=verify-full").value();
  EXPECT_EQ(options.schema, "fc_2");
  ASSERT_EQ(options.hosts.size(), 1u);
  const Options::Keywords& host = options.hosts[0];
  EXPECT_EQ(host.at("host"), "db");
  EXPECT_EQ(host.at("port"), "5433");
  EXPECT_EQ(host.at("dbname"), "fc");
  EXPECT_EQ(host.at("user"), "me");
  EXPECT_EQ(host.at("sslmode"), "verify-full");
  EXPECT_EQ(host.count("schema"), 0u);
}

TEST(PostgresUrl, BringsDefaultsThatItCanOverride) {
  const Options::Keywords usual = ParseUrl("postgresql://db/fc").value().hosts[0];
  EXPECT_EQ(usual.at("target_session_attrs"), "read-write");
  EXPECT_EQ(usual.at("tcp_user_timeout"), "5000");
  const Options::Keywords own =
      ParseUrl("postgresql://db/fc?target_session_attrs=any&tcp_user_timeout=1").value().hosts[0];
  EXPECT_EQ(own.at("target_session_attrs"), "any");
  EXPECT_EQ(own.at("tcp_user_timeout"), "1");
  EXPECT_EQ(ParseUrl("postgresql://db/fc").value().schema, "fastcontainer");
}

TEST(PostgresUrl, HasSeveralHosts) {
  const Options options = ParseUrl("postgresql://a:1,[::1]:5432,c:3/fc").value();
  ASSERT_EQ(options.hosts.size(), 3u);
  EXPECT_EQ(options.hosts[0].at("host"), "a");
  EXPECT_EQ(options.hosts[0].at("port"), "1");
  EXPECT_EQ(options.hosts[1].at("host"), "::1");
  EXPECT_EQ(options.hosts[2].at("port"), "3");
  const Options shared = ParseUrl("postgresql:///fc?host=a,b&port=7").value();
  ASSERT_EQ(shared.hosts.size(), 2u);
  EXPECT_EQ(shared.hosts[1].at("host"), "b");
  EXPECT_EQ(shared.hosts[1].at("port"), "7");
}

TEST(PostgresUrl, HasTheHostOfTheEnvironmentIfItNamesNone) {
  setenv("PGHOST", "db.example", 1);
  const Options::Keywords without = ParseUrl("postgresql:///fc").value().hosts[0];
  const Options::Keywords with = ParseUrl("postgresql://other/fc").value().hosts[0];
  unsetenv("PGHOST");
  EXPECT_EQ(without.at("host"), "db.example");
  EXPECT_EQ(with.at("host"), "other");
}

TEST(PostgresUrl, RefusesWhatItCannotReadWithoutShowingPasswords) {
  for (const char* url :
       {"postgresql://me:Secr3t@db/fc?schema=A", "postgresql://me:Secr3t@db/fc?schema=",
        "postgresql://me:Secr3t@db/fc?schema=a%22b", "postgresql://me:Secr3t@db/fc?schema=pg_x",
        "postgresql://me:Secr3t@db/fc?nonsense=1", "postgresql://me:Secr3t%zz@db/fc",
        "postgresql://db/fc?password=Secr3t&x", "postgresql:///fc?host=a,b,c&port=1,2&password=Secr3t"}) {
    const absl::Status status = ParseUrl(url).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << url;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("Secr3t"))) << url;
  }
  EXPECT_THAT(std::string(ParseUrl("postgresql://db/fc?nonsense=1").status().message()),
              HasSubstr("nonsense"));
}

TEST(PostgresKeys, AreRangesOfBytes) {
  EXPECT_EQ(EndOf("/p/"), "/p0");
  EXPECT_EQ(EndOf("a\xff\xff"), "b");
  EXPECT_GT(EndOf(""), std::string("\xff\xff"));
}

TEST(PostgresKeys, AreReadFromNotifications) {
  EXPECT_EQ(Unescaped("/fc/v1/"), "/fc/v1/");
  EXPECT_EQ(Unescaped("a\\\\b\\000\\377c"), std::string("a\\b\0\xff"
                                                        "c",
                                                        6));
  EXPECT_EQ(Unescaped("\\"), "\\");
  EXPECT_EQ(Unescaped("\\12"), "\\2");
}

}  // namespace
}  // namespace fastcontainer::postgresql
