// The bytes are those that etcdctl 3.4.23 and etcd 3.4.23 exchanged.
#include "lib/cmdb/etcd/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "lib/cmdb/etcd/wire.h"

namespace fastcontainer::etcd {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string Hex(std::string_view hex) { return absl::HexStringToBytes(std::string(hex)); }
std::string ToHex(const std::string& bytes) { return absl::BytesToHexString(bytes); }

constexpr const char* kTxnRequest =
    "0a0a10021a042f702f6130020a0a10021a042f702f783000120b12090a042f702f6112017812081a060a042f702f62"
    "1a080a060a042f702f611a080a060a042f702f78";
constexpr const char* kTxnDone =
    "0a1a08b9aec4abb989e5f7a70110fbfa8ba392e69eebdd011805200210011a0612040a0218051a081a060a0218051001";
constexpr const char* kTxnConflict =
    "0a1a08b9aec4abb989e5f7a70110fbfa8ba392e69eebdd01180520021a190a170a021805120f0a042f702f611002180520022a01"
    "78"
    "20011a060a040a021805";
constexpr const char* kRange =
    "0a1a08b9aec4abb989e5f7a70110fbfa8ba392e69eebdd0118032002120f0a042f702f611002180220012a013118012002";
constexpr const char* kWatchCreated = "0a1a08b9aec4abb989e5f7a70110fbfa8ba392e69eebdd01180120021801";
constexpr const char* kWatchEvents =
    "0a1a08b9aec4abb989e5f7a70110fbfa8ba392e69eebdd01180520025a11120f0a042f702f611002180520022a0178"
    "5a0c080112080a042f702f621805";
constexpr const char* kWatchCompacted = "0a1808b9aec4abb989e5f7a70110fbfa8ba392e69eebdd01200220012805";
constexpr const char* kLease =
    "0a1a08b9aec4abb989e5f7a70110fbfa8ba392e69eebdd01180320021088def5f1a6c0e8bd7d183c";
constexpr uint64_t kLeaseId = 0x7d7ba2026e3d6f08;

TEST(EtcdMessages, RequestsAreThoseOfEtcdctl) {
  RangeRequest range;
  range.key = "/p/";
  const std::string end = PrefixEnd("/p/");
  range.range_end = end;
  range.limit = 1;
  EXPECT_EQ(ToHex(EncodeRange(range)), "0a032f702f12032f70301801");
  EXPECT_EQ(ToHex(EncodeTxn({{"/p/a", 2}, {"/p/x", 0}}, {{Mutation::Kind::kPut, "/p/a", "x", 0},
                                                         {Mutation::Kind::kDelete, "/p/b", "", 0}})),
            kTxnRequest);
  EXPECT_EQ(ToHex(EncodeLeaseGrant(60)), "083c");
  EXPECT_EQ(ToHex(EncodeLeaseKeepAlive(kLeaseId)), "0888def5f1a6c0e8bd7d");
  EXPECT_EQ(ToHex(EncodeLeaseRevoke(kLeaseId)), "0888def5f1a6c0e8bd7d");
  // etcdctl's, and three fields more: progress_notify, watch_id, fragment.
  EXPECT_EQ(ToHex(EncodeWatchCreate({7, "/p/", 1})),
            "0a120a032f702f12032f70301801"
            "2001"
            "3807"
            "4001");
}

TEST(EtcdMessages, APutUnderALeaseNamesIt) {
  const std::string put = "0a042f702f631201331888def5f1a6c0e8bd7d";
  EXPECT_THAT(ToHex(EncodeTxn({}, {{Mutation::Kind::kPut, "/p/c", "3", kLeaseId}})), HasSubstr(put));
}

TEST(EtcdMessages, APrefixEndsBeforeTheNextOne) {
  EXPECT_EQ(PrefixEnd("/p/"), "/p0");
  EXPECT_EQ(PrefixEnd("a\xff\xff"), "b");
  EXPECT_EQ(PrefixEnd("\xff"), std::string(1, '\0'));
  EXPECT_EQ(PrefixEnd(""), std::string(1, '\0'));
}

TEST(EtcdMessages, ARangeResponseIsRead) {
  const RangeResponse range = DecodeRange(Hex(kRange)).value();
  EXPECT_EQ(range.header.cluster_id, 12101053776118486841u);
  EXPECT_EQ(range.header.member_id, 15985099378392235387u);
  EXPECT_EQ(range.header.revision, 3u);
  EXPECT_EQ(range.header.raft_term, 2u);
  EXPECT_TRUE(range.more);
  ASSERT_THAT(range.records, SizeIs(1));
  EXPECT_EQ(range.records[0].key, "/p/a");
  EXPECT_EQ(range.records[0].value, "1");
  EXPECT_EQ(range.records[0].revision, 2u);
}

TEST(EtcdMessages, ATxnResponseTellsItsBranchAndWhatThatRead) {
  const TxnResponse done = DecodeTxn(Hex(kTxnDone)).value();
  EXPECT_TRUE(done.succeeded);
  EXPECT_EQ(done.header.revision, 5u);
  const TxnResponse conflict = DecodeTxn(Hex(kTxnConflict)).value();
  EXPECT_FALSE(conflict.succeeded);
  ASSERT_THAT(conflict.ranges, SizeIs(2));
  ASSERT_THAT(conflict.ranges[0].records, SizeIs(1));
  EXPECT_EQ(conflict.ranges[0].records[0].value, "x");
  EXPECT_THAT(conflict.ranges[1].records, SizeIs(0));
}

TEST(EtcdMessages, WatchResponsesAreRead) {
  const WatchResponse created = DecodeWatch(Hex(kWatchCreated)).value();
  EXPECT_TRUE(created.created);
  EXPECT_EQ(created.header.revision, 1u);
  const WatchResponse events = DecodeWatch(Hex(kWatchEvents)).value();
  ASSERT_THAT(events.events, SizeIs(2));
  EXPECT_EQ(events.events[0].kind, WatchEvent::Kind::kPut);
  EXPECT_EQ(events.events[0].record.value, "x");
  EXPECT_EQ(events.events[1].kind, WatchEvent::Kind::kDelete);
  EXPECT_EQ(events.events[1].record.key, "/p/b");
  EXPECT_EQ(events.events[1].revision, 5u);
  const WatchResponse compacted = DecodeWatch(Hex(kWatchCompacted)).value();
  EXPECT_TRUE(compacted.canceled);
  EXPECT_EQ(compacted.compact_revision, 5u);
  // As progress notices for all watches have it: a negative watch_id.
  EXPECT_EQ(DecodeWatch(Hex("10ffffffffffffffffff01")).value().watch_id, -1);
}

TEST(EtcdMessages, LeaseResponsesAreRead) {
  const LeaseResponse lease = DecodeLease(Hex(kLease)).value();
  EXPECT_EQ(lease.id, kLeaseId);
  EXPECT_EQ(lease.ttl_seconds, 60u);
}

TEST(EtcdMessages, UnknownFieldsAreSkipped) {
  // Fields 100 to 103, of each wire type, and a known number with another type.
  const std::string unknown =
      Hex("a00601"
          "a9060102030405060708"
          "b20603616263"
          "bd0601020304"
          "1a0161");
  const RangeResponse range = DecodeRange(unknown + Hex(kRange) + unknown).value();
  EXPECT_EQ(range.header.revision, 3u);
  EXPECT_THAT(range.records, SizeIs(1));
}

TEST(EtcdMessages, EveryTruncationIsRefusedOrShorterAndNeverOverread) {
  for (const char* hex : {kTxnDone, kTxnConflict, kRange, kWatchEvents, kWatchCompacted, kLease}) {
    const std::string whole = Hex(hex);
    for (size_t length = 0; length < whole.size(); ++length) {
      // On the heap, so that a sanitizer sees a byte too much.
      const auto copy = std::make_unique<char[]>(length);
      whole.copy(copy.get(), length);
      const std::string_view part(copy.get(), length);
      (void)DecodeRange(part);
      (void)DecodeTxn(part);
      (void)DecodeWatch(part);
      (void)DecodeLease(part);
      (void)DecodeAuthenticate(part);
    }
  }
  EXPECT_EQ(DecodeRange(Hex(kRange).substr(0, 40)).status().code(), absl::StatusCode::kDataLoss);
}

TEST(EtcdMessages, MalformedMessagesAreDataLoss) {
  for (const char* hex : {"0a",                        // no length
                          "0affffffffffffffffff7f",    // a length of more than there is
                          "18ffffffffffffffffffff01",  // a number of more than 64 bits
                          "0b",                        // a group
                          "00", "0a020a05"}) {
    EXPECT_EQ(DecodeRange(Hex(hex)).status().code(), absl::StatusCode::kDataLoss) << hex;
  }
  EXPECT_EQ(DecodeAuthenticate("").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(DecodeAuthenticate(Hex("1203616263")).value(), "abc");
}

}  // namespace
}  // namespace fastcontainer::etcd
