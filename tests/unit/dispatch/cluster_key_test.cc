#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "lib/dispatch/channel.h"

namespace fastcontainer {
namespace {

class ClusterKeyFile : public testing::Test {
 protected:
  std::string Write(const std::string& text, mode_t mode = 0600) {
    const std::string path =
        testing::TempDir() + "cluster_key_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
    return path;
  }
  const std::string a = std::string(64, 'a');
  const std::string b = std::string(64, 'B');
};

TEST_F(ClusterKeyFile, HasOneOrTwoKeysTheFirstSigns) {
  const auto one = ReadClusterKeyFile(Write(a + "\n"));
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->size(), 1u);
  EXPECT_EQ((*one)[0][0], 0xaa);
  const auto two = ReadClusterKeyFile(Write(b + "\n" + a));
  ASSERT_TRUE(two.ok()) << two.status();
  ASSERT_EQ(two->size(), 2u);
  EXPECT_EQ((*two)[0][31], 0xbb);
}

TEST_F(ClusterKeyFile, AnErrorNamesTheLineAndWhatIsAccepted) {
  const auto bad = ReadClusterKeyFile(Write(a + "\nxyz\n"));
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(bad.status().message().find("line 2"), absl::string_view::npos) << bad.status();
  EXPECT_NE(bad.status().message().find("64 hex digits"), absl::string_view::npos) << bad.status();
  EXPECT_FALSE(ReadClusterKeyFile(Write(a + "\n" + a + "\n" + b)).ok());
  EXPECT_FALSE(ReadClusterKeyFile(Write("")).ok());
  EXPECT_FALSE(ReadClusterKeyFile(Write(std::string(5000, 'a'))).ok());
}

TEST_F(ClusterKeyFile, IsRefusedIfOthersMayReadItOrItIsNotAFile) {
  EXPECT_EQ(ReadClusterKeyFile(Write(a, 0644)).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(ReadClusterKeyFile(Write(a, 0640)).ok());
  EXPECT_EQ(ReadClusterKeyFile("/nonexistent/key").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadClusterKeyFile(testing::TempDir()).ok());
}

}  // namespace
}  // namespace fastcontainer
