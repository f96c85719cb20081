#include "examples/fcprobe/options.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include "examples/fcprobe/attempts.h"

namespace fcprobe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Outcome {
  Parsed parsed = Parsed::kInvalid;
  Options options;
  std::string message;
};

Outcome Parse(std::vector<std::string> words) {
  words.insert(words.begin(), "fcprobe");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  Outcome outcome;
  outcome.parsed =
      ParseOptions(static_cast<int>(words.size()), argv.data(), &outcome.options, &outcome.message);
  return outcome;
}

TEST(FcprobeOptions, DefaultsAreThoseOfFping) {
  const Options options = Parse({"host"}).options;
  EXPECT_EQ(options.interval, 10'000'000u);
  EXPECT_EQ(options.period, 1'000'000'000u);
  EXPECT_EQ(FirstTimeout(options), 500'000'000u);
  EXPECT_EQ(options.size, 56u);
  EXPECT_THAT(options.words, ElementsAre("host"));
}

TEST(FcprobeOptions, EveryoneOfFpingsCanBeGivenByLetterAndByName) {
  const Options short_ = Parse({"-6", "-C", "3",  "-p",   "20", "-t", "2.5", "-i", "0.1", "-b", "100", "-M",
                                "-H", "9",  "-O", "0x20", "-a", "-A", "-D",  "-e", "-q",  "-s", "-n",  "h"})
                             .options;
  const Options long_ = Parse({"--ipv6", "--vcount=3", "--period=20", "--timeout=2.5", "--interval=0.1",
                               "--size=100", "--dontfrag", "--ttl=9", "--tos=32", "--alive", "--addr",
                               "--timestamp", "--elapsed", "--quiet", "--stats", "--name", "h"})
                            .options;
  for (const Options& options : {short_, long_}) {
    EXPECT_EQ(options.family, AF_INET6);
    EXPECT_EQ(options.mode, Mode::kCount);
    EXPECT_TRUE(options.each_rtt);
    EXPECT_EQ(options.count, 3u);
    EXPECT_EQ(options.period, 20'000'000u);
    EXPECT_EQ(options.timeout, 2'500'000u);
    EXPECT_EQ(options.interval, 100'000u);
    EXPECT_EQ(options.size, 100u);
    EXPECT_EQ(options.ttl, 9u);
    EXPECT_EQ(options.dscp, 8u);
    EXPECT_EQ(options.show, Show::kAlive);
    EXPECT_TRUE(options.dont_fragment && options.addresses && options.timestamps && options.elapsed &&
                options.quiet && options.summary && options.names);
  }
}

TEST(FcprobeOptions, ARateIsAnInterval) {
  EXPECT_EQ(Parse({"--rate", "20000", "h"}).options.interval, 50'000u);
}

TEST(FcprobeOptions, WhatIsRefusedNamesTheOptionTheValueAndWhatIsAccepted) {
  const struct {
    std::vector<std::string> words;
    std::vector<std::string> parts;
  } kCases[] = {{{"-t", "abc", "h"}, {"-t", "\"abc\"", "milliseconds"}},
                {{"-t", "0", "h"}, {"-t", "\"0\"", "at least"}},
                {{"-t", "-5", "h"}, {"-t", "\"-5\"", "milliseconds"}},
                {{"-t", "nan", "h"}, {"-t", "\"nan\""}},
                {{"-c", "0", "h"}, {"-c", "\"0\"", "from 1"}},
                {{"-c", "5x", "h"}, {"-c", "\"5x\"", "number"}},
                {{"--size=70000", "h"}, {"-b", "\"70000\"", "65000"}},
                {{"-H", "256", "h"}, {"-H", "1 to 255"}},
                {{"-O", "3", "h"}, {"-O", "\"3\"", "multiple of 4"}},
                {{"--dscp", "64", "h"}, {"--dscp", "0 to 63"}},
                {{"-S", "1.2.3", "h"}, {"-S", "\"1.2.3\"", "address"}},
                {{"-I", "no such", "h"}, {"-I", "\"no such\"", "interface"}},
                {{"--mechanism", "smoke", "h"}, {"--mechanism", "\"smoke\"", "syn"}},
                {{"--hedge", "5,3", "h"}, {"--hedge", "\"5,3\"", "rising"}},
                {{"--hedge", "5,", "h"}, {"--hedge", "\"5,\""}},
                {{"--source-ports", "9,65530", "h"}, {"--source-ports", "65535"}},
                {{"--rate", "0", "h"}, {"--rate", "from 1"}},
                {{"-B", "2", "h"}, {"-B", "does not offer"}},
                {{"-c"}, {"-c", "needs a value"}},
                {{"--colour", "h"}, {"unknown option", "--colour"}},
                {{"-Z", "h"}, {"unknown option", "-Z"}}};
  for (const auto& one : kCases) {
    const Outcome outcome = Parse(one.words);
    EXPECT_EQ(outcome.parsed, Parsed::kInvalid) << one.words[0];
    for (const std::string& part : one.parts) EXPECT_THAT(outcome.message, HasSubstr(part));
  }
}

TEST(FcprobeOptions, WhatDoesNotGoTogetherIsRefused) {
  const std::vector<std::string> kCases[] = {{"-a", "-u", "h"},
                                             {"-4", "-6", "h"},
                                             {"-l", "-c", "2", "h"},
                                             {"-i", "1", "--rate", "5", "h"},
                                             {"-f", "x", "h"},
                                             {"-g", "-f", "x"},
                                             {"-g"},
                                             {"-g", "a", "b", "c"},
                                             {"-6", "-S", "127.0.0.1", "h"},
                                             {"-t", "5", "--hedge", "5", "h"},
                                             {"-t", "50", "--adaptive", "20", "h"},
                                             {"--json", "--histogram", "h"},
                                             {"--source-ports", "4", "-c", "1", "h"},
                                             {"--mechanism", "icmp-raw", "--port", "80", "h"}};
  for (const auto& words : kCases) EXPECT_EQ(Parse(words).parsed, Parsed::kInvalid) << words[0] << words[1];
}

TEST(FcprobeOptions, CountingWaitsForThePeriodButNotMoreThanTwoSeconds) {
  EXPECT_EQ(FirstTimeout(Parse({"-c", "1", "-p", "70", "h"}).options), 70'000'000u);
  EXPECT_EQ(FirstTimeout(Parse({"-l", "-p", "5000", "h"}).options), 2'000'000'000u);
  EXPECT_EQ(FirstTimeout(Parse({"-l", "-t", "3000", "h"}).options), 3'000'000'000u);
}

TEST(FcprobeAttempts, RetriesFollowFpingsTimetableAsHedges) {
  const std::vector<Attempt> plan = PlanAttempts(Parse({"-t", "100", "h"}).options);
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[0].deadline, 475'000'000u);  // 100 + 150 + 225
  EXPECT_THAT(plan[0].hedges, ElementsAre(100'000'000u, 250'000'000u));
  EXPECT_EQ(plan[1].deadline, 337'500'000u);
  EXPECT_THAT(plan[1].hedges, ElementsAre(0u, 0u));
}

TEST(FcprobeAttempts, WithoutRetriesThereIsOnePacket) {
  const std::vector<Attempt> plan = PlanAttempts(Parse({"-t", "100", "-r", "0", "h"}).options);
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_EQ(plan[0].deadline, 100'000'000u);
  EXPECT_THAT(plan[0].hedges, ElementsAre(0u, 0u));
}

TEST(FcprobeAttempts, ASweepSendsOnePacketAtATime) {
  const std::vector<Attempt> plan =
      PlanAttempts(Parse({"-t", "100", "-r", "1", "--source-ports", "4", "h:1"}).options);
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[1].deadline, 150'000'000u);
  for (const Attempt& attempt : plan) EXPECT_THAT(attempt.hedges, ElementsAre(0u, 0u));
}

TEST(FcprobeAttempts, GivenHedgesStayInsideOneTimeoutAndRetriesAreFurtherAttempts) {
  const std::vector<Attempt> plan =
      PlanAttempts(Parse({"-t", "10", "--hedge", "3,6", "-r", "1", "h"}).options);
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[0].deadline, 10'000'000u);
  EXPECT_EQ(plan[1].deadline, 15'000'000u);
  for (const Attempt& attempt : plan) EXPECT_THAT(attempt.hedges, ElementsAre(3'000'000u, 6'000'000u));
}

TEST(FcprobeAttempts, ACountedProbeIsNotRetried) {
  const std::vector<Attempt> plan = PlanAttempts(Parse({"-c", "5", "-r", "7", "-t", "10", "h"}).options);
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_THAT(plan[0].hedges, ElementsAre(0u, 0u));
}

}  // namespace
}  // namespace fcprobe
