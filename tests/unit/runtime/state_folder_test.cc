#include "lib/runtime/state_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

InstanceRecord Record() {
  InstanceRecord record;
  record.instance = "site-1/0 %é";
  record.container = "site-1";
  record.replica = 3;
  record.epoch = 1ull << 60;
  record.spec_revision = "r";
  record.address = *Address::Parse("[::1]:80");
  record.boot_id = "boot";
  record.pid = 4711;
  record.start_time = 123456789;
  record.cgroup = "/sys/fs/cgroup/x";
  record.ready = true;
  return record;
}

void ExpectSame(const InstanceRecord& a, const InstanceRecord& b) {
  EXPECT_EQ(a.instance, b.instance);
  EXPECT_EQ(a.container, b.container);
  EXPECT_EQ(a.replica, b.replica);
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.spec_revision, b.spec_revision);
  EXPECT_EQ(a.address, b.address);
  EXPECT_EQ(a.boot_id, b.boot_id);
  EXPECT_EQ(a.pid, b.pid);
  EXPECT_EQ(a.start_time, b.start_time);
  EXPECT_EQ(a.cgroup, b.cgroup);
  EXPECT_EQ(a.ready, b.ready);
}

class StateFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/fastcontainer-state-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    root_ = pattern;
    path_ = root_ + "/a/b";
    absl::StatusOr<StateFolder> folder = StateFolder::Open(path_);
    ASSERT_TRUE(folder.ok()) << folder.status();
    folder_ = std::make_unique<StateFolder>(*std::move(folder));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
  std::string path_;
  std::unique_ptr<StateFolder> folder_;
};

TEST(FileName, ComesBackToTheId) {
  for (const char* id : {"site-42.0.7", "a/b", "../../etc", "%", "A_b-c", ".hidden", "sp ace", "\xff"}) {
    EXPECT_EQ(IdOfFileName(FileNameFor(id)), id);
    EXPECT_EQ(FileNameFor(id).find('/'), std::string::npos);
    EXPECT_NE(FileNameFor(id)[0], '.');
  }
}

TEST(FileName, OfALongIdIsShortAndItsOwn) {
  const std::string a = std::string(400, '/') + "a";
  const std::string b = std::string(400, '/') + "b";
  EXPECT_LE(FileNameFor(a).size(), 200u);
  EXPECT_NE(FileNameFor(a), FileNameFor(b));
  EXPECT_EQ(IdOfFileName(FileNameFor(a)), "");
}

TEST(InstanceRecord, ComesBackFromItsEncoding) {
  const absl::StatusOr<InstanceRecord> decoded = DecodeInstanceRecord(*EncodeInstanceRecord(Record()));
  ASSERT_TRUE(decoded.ok());
  ExpectSame(*decoded, Record());
}

TEST(InstanceRecord, IsRefusedWhereAnyFieldIsMissingOrWrong) {
  const std::string whole = *EncodeInstanceRecord(Record());
  for (const char* text : {"", "[]", "{}", "null", "{\"v\":2}"})
    EXPECT_FALSE(DecodeInstanceRecord(text).ok()) << text;
  for (size_t cut = 0; cut < whole.size(); ++cut)
    EXPECT_FALSE(DecodeInstanceRecord(whole.substr(0, cut)).ok()) << cut;
  std::string wrong = whole;
  wrong.replace(wrong.find("4711"), 4, "-471");
  EXPECT_FALSE(DecodeInstanceRecord(wrong).ok());
  wrong = whole;
  wrong.replace(wrong.find("4711"), 4, "99999999999");
  EXPECT_FALSE(DecodeInstanceRecord(wrong).ok());
}

TEST_F(StateFolderTest, WhatWasWrittenIsListedUntilItIsRemoved) {
  InstanceRecord record = Record();
  ASSERT_TRUE(folder_->Write(record).ok());
  record.ready = false;
  ASSERT_TRUE(folder_->Write(record).ok());
  const auto listing = folder_->List();
  ASSERT_THAT(listing->records, SizeIs(1));
  ExpectSame(listing->records[0], record);
  EXPECT_THAT(listing->corrupt, IsEmpty());
  EXPECT_TRUE(folder_->Remove(record.instance).ok());
  EXPECT_TRUE(folder_->Remove(record.instance).ok()) << "removed is removed";
  EXPECT_THAT(folder_->List()->records, IsEmpty());
}

TEST_F(StateFolderTest, ACorruptFileIsSetAsideOnceAndNamed) {
  std::ofstream(path_ + "/site-1.json") << "garbage";
  std::ofstream(path_ + "/site-2.json") << *EncodeInstanceRecord(Record());  // under another's name
  std::ofstream(path_ + "/site-3.json.tmp") << "half a write";
  std::ofstream(path_ + "/unrelated") << "kept";
  EXPECT_THAT(folder_->List()->corrupt, ::testing::UnorderedElementsAre("site-1", "site-2"));
  EXPECT_THAT(folder_->List()->corrupt, IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(path_ + "/site-1.json.corrupt"));
  EXPECT_FALSE(std::filesystem::exists(path_ + "/site-3.json.tmp"));
  EXPECT_TRUE(std::filesystem::exists(path_ + "/unrelated"));
}

TEST_F(StateFolderTest, AFileThatACrashOfTheMachineHasLeftEmptyIsNoInstance) {
  std::ofstream(path_ + "/site-1.json").flush();
  const auto listing = folder_->List();
  EXPECT_THAT(listing->records, IsEmpty());
  EXPECT_THAT(listing->corrupt, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(path_ + "/site-1.json"));
}

TEST_F(StateFolderTest, AFailedWriteLeavesTheOldRecordWhole) {
  ASSERT_TRUE(folder_->Write(Record()).ok());
  InstanceRecord record = Record();
  record.spec_revision = "\xff";
  EXPECT_EQ(folder_->Write(record).code(), absl::StatusCode::kInvalidArgument);
  std::filesystem::create_directory(path_ + "/" + FileNameFor(record.instance) + ".json.tmp");
  EXPECT_EQ(folder_->Write(Record()).code(), absl::StatusCode::kUnavailable);
  std::filesystem::remove(path_ + "/" + FileNameFor(record.instance) + ".json.tmp");
  EXPECT_THAT(folder_->List()->records, SizeIs(1));
}

TEST_F(StateFolderTest, IsHeldByOneAtATime) {
  EXPECT_EQ(StateFolder::Open(path_).status().code(), absl::StatusCode::kUnavailable);
  folder_ = nullptr;
  EXPECT_TRUE(StateFolder::Open(path_).ok());
}

}  // namespace
}  // namespace fastcontainer
