#include "lib/runtime/output.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace fastcontainer {
namespace {

class Output : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/fastcontainer-output-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string TailOf(const std::string& text) {
    std::ofstream(folder_ + "/x.log") << text;
    return OutputTail(folder_ + "/x.log", 0);
  }
  std::string folder_;
};

TEST_F(Output, IsAppendedAndKnowsWhereThisStartBegan) {
  std::ofstream(folder_ + "/a.log") << "before\n";
  const absl::StatusOr<OutputFile> file = OpenOutput(folder_, "a");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(OutputTail(file->path, file->begin), "");
  EXPECT_EQ(write(file->fd.get(), "after\n", 6), 6);
  EXPECT_EQ(OutputTail(file->path, file->begin), "after");
}

TEST_F(Output, OfACrowdedFileMakesRoom) {
  std::ofstream(folder_ + "/a.log") << "x";
  std::filesystem::resize_file(folder_ + "/a.log", 20 << 20);
  const absl::StatusOr<OutputFile> file = OpenOutput(folder_, "a");
  EXPECT_EQ(file->begin, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/a.log.1"));
}

TEST_F(Output, StaysInItsFolderWhateverTheContainersName) {
  EXPECT_EQ(std::filesystem::path(OpenOutput(folder_, "../../etc/x")->path).parent_path(), folder_);
}

TEST_F(Output, TailIsOneShortLineOfUtf8) {
  EXPECT_EQ(TailOf("one\ntwo\r\n\ttab\n"), "one two   tab");
  EXPECT_EQ(TailOf("日本語 \xff\xc3"), "日本語 ??");
  EXPECT_EQ(TailOf(std::string(2000, 'x')), std::string(512, 'x'));
  std::string many;
  for (int i = 0; i < 500; ++i) many += "é";
  EXPECT_EQ(TailOf("x" + many + "y").substr(0, 2), "é") << "a cut goes between characters";
  EXPECT_EQ(OutputTail("/no/such/file", 0), "");
}

TEST_F(Output, WithoutAFolderIsUnavailable) {
  EXPECT_EQ(OpenOutput("/no/such/folder", "a").status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace fastcontainer
