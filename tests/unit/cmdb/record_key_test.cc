#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fastcontainer/records.h"

namespace fastcontainer {
namespace {

// Golden values: other implementations and earlier versions share the keys. The hash of "" is published with
// XXH3 (2d06800538d394c2).
TEST(RecordKey, ShardIsTheTopByteOfXxh3) {
  EXPECT_EQ(ShardOf(""), 0x2d);
  const std::string key = RecordKey(RecordKind::kPlacement, "site-42");
  EXPECT_EQ(key, RecordPrefix(RecordKind::kPlacement, ShardOf("site-42")) + "site-42");
}

TEST(RecordKey, LayoutIsTheSameForEveryBackend) {
  EXPECT_EQ(RecordKey(RecordKind::kHost, "h12"), "/fc/v1/h/h12");
  EXPECT_EQ(RecordKey(RecordKind::kHeartbeat, "h12"), "/fc/v1/l/h12");
  EXPECT_EQ(RecordKey(RecordKind::kClass, "wordpress"), "/fc/v1/c/wordpress");
  EXPECT_EQ(RecordPrefix(RecordKind::kPlacement, 0x0f), "/fc/v1/p/0f/");
  EXPECT_EQ(RecordPrefix(RecordKind::kSpec, 0xff), "/fc/v1/s/ff/");
  EXPECT_EQ(RecordPrefix(RecordKind::kKey, 0), "/fc/v1/k/00/");
  EXPECT_EQ(RecordPrefix(RecordKind::kHost, 7), "/fc/v1/h/");
  EXPECT_EQ(RecordKindPrefix(RecordKind::kPlacement), "/fc/v1/p/");
}

TEST(RecordKey, NamesArePercentEscaped) {
  EXPECT_EQ(RecordKey(RecordKind::kHost, "a/b%c d"), "/fc/v1/h/a%2Fb%25c%20d");
  EXPECT_EQ(RecordKey(RecordKind::kHost, "\xc3\xa9~._-"), "/fc/v1/h/%C3%A9~._-");
}

TEST(RecordKey, EveryNameComesBack) {
  std::vector<std::string> names = {"a", "site-42", "a/b", "%", "%2F", "x y", "\xff", "..", "[::1]"};
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  names.push_back(all);
  for (const RecordKind kind :
       {RecordKind::kKey, RecordKind::kClass, RecordKind::kSpec, RecordKind::kPlacement, RecordKind::kHost}) {
    for (const std::string& name : names) {
      const absl::StatusOr<ParsedKey> parsed = ParseRecordKey(RecordKey(kind, name));
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(parsed->kind, kind);
      EXPECT_EQ(parsed->name, name);
    }
  }
}

TEST(RecordKey, WhatIsNotARecordsKeyIsRefused) {
  for (const char* key : {"", "/", "/fc/v1/", "/fc/v1/h/", "/fc/v1/z/a", "/fc/v2/h/a", "/fc/v1/h/a/b",
                          "fc/v1/h/a", "/fc/v1/h/a b", "/fc/v1/h/%61", "/fc/v1/h/%2f", "/fc/v1/h/%",
                          "/fc/v1/p/site-42", "/fc/v1/p/zz/site-42"}) {
    EXPECT_FALSE(ParseRecordKey(key).ok()) << key;
  }
}

TEST(RecordKey, AKeyInTheWrongShardIsRefused) {
  const auto wrong = static_cast<uint8_t>(ShardOf("site-42") + 1);
  EXPECT_FALSE(ParseRecordKey(RecordPrefix(RecordKind::kPlacement, wrong) + "site-42").ok());
}

TEST(NormalizeKey, HasLowerCaseAndNoPortAndNoFinalDot) {
  for (const auto& [text, key] :
       std::vector<std::pair<std::string, std::string>>{{"Example.COM", "example.com"},
                                                        {"example.com:8080", "example.com"},
                                                        {"example.com:", "example.com"},
                                                        {"example.com.", "example.com"},
                                                        {"example.com.:80", "example.com"},
                                                        {"[2001:DB8::1]:443", "[2001:db8::1]"},
                                                        {"[::1]", "[::1]"},
                                                        {"10.0.0.1:80", "10.0.0.1"}}) {
    const absl::StatusOr<std::string> normal = NormalizeKey(text);
    ASSERT_TRUE(normal.ok()) << text << ": " << normal.status();
    EXPECT_EQ(*normal, key);
  }
}

TEST(NormalizeKey, RefusesWhatIsNoHostName) {
  for (const std::string& text :
       std::vector<std::string>{"", ".", "..", "a..", "a..:80", ":80", "a b", "a\tb", "caf\xc3\xa9.fr", "a:b",
                                "::1", std::string("a\0b", 3), std::string(201, 'a')}) {
    EXPECT_EQ(NormalizeKey(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_TRUE(NormalizeKey(std::string(200, 'a')).ok());
}

}  // namespace
}  // namespace fastcontainer
