#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "lib/cmdb/plugin.h"
#include "tests/unit/cmdb/cmdb_fixture.h"
#include "tests/unit/fake_reactor.h"

namespace fastcontainer {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class OpenCmdbTest : public ::testing::Test {
 protected:
  void SetUp() override { setenv("FASTCONTAINER_PLUGIN_PATH", "/nowhere:" TEST_PLUGINS, 1); }
  absl::Status ErrorOf(std::string_view url) { return OpenCmdb(url, reactor_).status(); }
  std::string TextOf(std::string_view url) { return std::string(ErrorOf(url).message()); }

  FakeReactor reactor_;
};

TEST_F(OpenCmdbTest, RefusesWhatItDoesNotKnow) {
  for (const char* url : {"", "nosuch://h:1", "memory", "/var/lib/x", "sqlite:relative/path",
                          "sqlite:", "../x:y", "UPPER:x", ":"}) {
    EXPECT_EQ(ErrorOf(url).code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_THAT(TextOf(url), HasSubstr(url));
    EXPECT_THAT(TextOf(url), HasSubstr("memory:NAME"));
    EXPECT_THAT(TextOf(url), HasSubstr("etcd://HOST:PORT[,HOST:PORT], postgresql://..."));
  }
}

TEST_F(OpenCmdbTest, TellsWhichDriverItLookedForAndWhere) {
  const std::string text = TextOf("nosuch://h:1");
  EXPECT_THAT(text, HasSubstr("libfastcontainer-cmdb-nosuch.so"));
  EXPECT_THAT(text, HasSubstr("/nowhere, " TEST_PLUGINS));
  EXPECT_THAT(text, HasSubstr("/lib/fastcontainer"));
}

TEST_F(OpenCmdbTest, ErrorsShowNoPasswords) {
  for (const char* url :
       {"nosuch://me:Secr3t@h:1/x", "nosuch://me:Secr3t/@:@h", "nosuch://h/x?password=Secr3t",
        "nosuch://h/x?a=b&sslpassword=Secr3t&c=d", "no such://me:Secr3t@h?password=Secr3t"}) {
    EXPECT_THAT(TextOf(url), Not(HasSubstr("Secr3t"))) << url;
    EXPECT_THAT(TextOf(url), HasSubstr("***")) << url;
  }
  EXPECT_THAT(TextOf("nosuch://me@h:1/x?a=b@c:d"), HasSubstr("\"nosuch://me@h:1/x?a=b@c:d\""));
}

TEST_F(OpenCmdbTest, ADriverInASharedObjectWorksOnTheCallersLoop) {
  absl::StatusOr<std::unique_ptr<Cmdb>> cmdb = OpenCmdb("testing://a,b/c", reactor_);
  ASSERT_TRUE(cmdb.ok()) << cmdb.status();
  std::string value;
  (*cmdb)->Get("/k", ReadMode::kLinearizable,
               [&](const absl::StatusOr<Record>& record) { value = record->value; });
  EXPECT_EQ(value, "");
  reactor_.Run();
  EXPECT_EQ(value, "testing://a,b/c");
  EXPECT_TRUE(OpenCmdb("testing:again", reactor_).ok());
}

TEST_F(OpenCmdbTest, ADriversOwnErrorIsHandedOn) {
  EXPECT_EQ(ErrorOf("testing:refuse"), absl::UnavailableError("the plugin refuses"));
}

TEST_F(OpenCmdbTest, ADriverOfAnotherVersionIsRefusedNamingBoth) {
  EXPECT_TRUE(absl::IsUnavailable(ErrorOf("outdated://h")));
  EXPECT_THAT(TextOf("outdated://h"), HasSubstr("0.0.9+1"));
  EXPECT_THAT(TextOf("outdated://h"), HasSubstr(kCmdbPluginVersion));
}

TEST_F(OpenCmdbTest, ASharedObjectThatIsNoDriverIsRefused) {
  EXPECT_TRUE(absl::IsUnavailable(ErrorOf("hollow://h")));
  EXPECT_THAT(TextOf("hollow://h"), HasSubstr("does not export fastcontainer_cmdb_plugin"));
}

TEST_F(OpenCmdbTest, AFileThatCannotBeLoadedSaysWhy) {
  const TemporaryFolder folder;
  std::ofstream(folder.File(CmdbPluginFile("broken"))) << "this is no shared object";
  setenv("FASTCONTAINER_PLUGIN_PATH", folder.path().c_str(), 1);
  EXPECT_TRUE(absl::IsUnavailable(ErrorOf("broken://h")));
  EXPECT_THAT(TextOf("broken://h"), HasSubstr(folder.path()));
}

TEST_F(OpenCmdbTest, ThePathMayBeEmptyOrHaveEmptyParts) {
  setenv("FASTCONTAINER_PLUGIN_PATH", "::/a:", 1);
  EXPECT_EQ(CmdbPluginFolders()[0], "/a");
  unsetenv("FASTCONTAINER_PLUGIN_PATH");
  EXPECT_FALSE(CmdbPluginFolders().empty());
}

}  // namespace
}  // namespace fastcontainer
