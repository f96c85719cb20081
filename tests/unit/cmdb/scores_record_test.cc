#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"

namespace fastcontainer {
namespace {

using ::testing::HasSubstr;

std::string Refusal(std::string_view json) { return std::string(DecodeScores(json).status().message()); }

TEST(ScoresRecord, RoundTrips) {
  const absl::StatusOr<Scores> scores = DecodeScores(
      R"({"v":1,"by":"brain","at_ms":1750000000000,"valid_s":2.5,"hosts":{"h1":0.9,"h2":null,"h3":-3}})");
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(scores->by, "brain");
  EXPECT_EQ(scores->at_ms, 1750000000000);
  EXPECT_EQ(scores->valid, 2'500 * kMillisecond);
  ASSERT_EQ(scores->hosts.size(), 3u);
  EXPECT_EQ(scores->hosts[0].host, "h1");
  EXPECT_EQ(scores->hosts[0].score, 0.9);
  EXPECT_EQ(scores->hosts[1].score, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(scores->hosts[2].score, -3);
  const absl::StatusOr<Scores> again = DecodeScores(EncodeScores(*scores));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(EncodeScores(*again), EncodeScores(*scores));
}

TEST(ScoresRecord, OnlyTheHostsAreRequired) {
  const absl::StatusOr<Scores> scores = DecodeScores(R"({"hosts":{},"later":[1]})");
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(scores->valid, 30 * kSecond);
  EXPECT_THAT(Refusal("{}"), HasSubstr("\"hosts\": expected an object of scores by host"));
}

TEST(ScoresRecord, AnErrorNamesTheFieldAndWhatIsAccepted) {
  EXPECT_THAT(Refusal(R"({"v":2,"hosts":{}})"), HasSubstr("\"v\": expected 1"));
  EXPECT_THAT(Refusal(R"({"hosts":[1]})"), HasSubstr("\"hosts\": expected an object"));
  EXPECT_THAT(Refusal(R"({"hosts":{"h1":"best"}})"), HasSubstr("\"hosts.h1\": expected a number, or null"));
  EXPECT_THAT(Refusal(R"({"hosts":{"h1":true}})"), HasSubstr("\"hosts.h1\""));
  EXPECT_THAT(Refusal(R"({"hosts":{"h 1":1}})"), HasSubstr("a host's name"));
  EXPECT_THAT(Refusal(R"({"hosts":{"h1":1,"h1":2}})"), HasSubstr("\"h1\" appears twice"));
  EXPECT_THAT(Refusal(R"({"hosts":{"h1":1e999}})"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal(R"({"valid_s":0,"hosts":{}})"), HasSubstr("a number from 0.1 to 86400"));
  EXPECT_THAT(Refusal(R"({"hosts":{}} x)"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal(R"([1,{"hosts":{"h1":1}},[2]])"), HasSubstr("expected a JSON object, got ["));
  EXPECT_THAT(Refusal("7"), HasSubstr("expected a JSON object, got 7"));
  EXPECT_THAT(Refusal(R"({"hosts":{"h1":[1]}})"), HasSubstr("\"hosts.h1\": expected a number, or null"));
  EXPECT_THAT(Refusal(R"({"hosts":{"h1":{"h2":1}}})"), HasSubstr("\"hosts.h1\""));
  EXPECT_THAT(Refusal(R"({"hosts":{},"hosts":{}})"), HasSubstr("\"hosts\" appears twice"));
  EXPECT_THAT(Refusal(R"({"hosts":{},"later":{"a":1,"a":2}})"), HasSubstr("\"a\" appears twice"));
  EXPECT_THAT(Refusal("{\"hosts\":{},\"a\":" + std::string(20, '[') + std::string(20, ']') + "}"),
              HasSubstr("nested deeper"));
}

TEST(ScoresRecord, TenThousandHostsFit) {
  std::string json = R"({"v":1,"hosts":{)";
  for (int i = 0; i < 10'000; ++i)
    absl::StrAppend(&json, i == 0 ? "" : ",", "\"", std::string(60, 'h'), i, "\":0.", 100'000'000 + i);
  json += "}}";
  const absl::StatusOr<Scores> scores = DecodeScores(json);
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(scores->hosts.size(), 10'000u);
  EXPECT_THAT(Refusal(std::string(1'048'577, ' ')), HasSubstr("longer than 1048576 bytes"));
}

TEST(ScoresRecord, NoClassHasTheNameOfTheTableForAll) {
  EXPECT_EQ(RecordKey(RecordKind::kScores, kAllClasses), "/fc/v1/w/%2A");
  EXPECT_EQ(ParseRecordKey("/fc/v1/w/%2A")->name, "*");
  EXPECT_THAT(std::string(SpecClass(R"({"class":"*"})").status().message()),
              HasSubstr("\"class\": no class"));
  EXPECT_FALSE(DecodeSpec(R"({"class":"*","command":["x"]})", "").ok());
}

}  // namespace
}  // namespace fastcontainer
