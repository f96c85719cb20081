#include "examples/fcprobe/rtt_series.h"

#include <gtest/gtest.h>

#include "examples/fcprobe/text.h"

namespace fcprobe {
namespace {

TEST(FcprobeRttSeries, NothingIsZero) {
  const RttSeries rtt;
  EXPECT_EQ(rtt.mean(), 0u);
  EXPECT_EQ(rtt.Percentile(50), 0u);
}

TEST(FcprobeRttSeries, FewAreExactByTheNearestRank) {
  RttSeries rtt;
  for (uint64_t value : {50u, 10u, 40u, 20u, 30u}) rtt.Add(value * 1'000'003);
  EXPECT_EQ(rtt.min(), 10u * 1'000'003);
  EXPECT_EQ(rtt.mean(), 30u * 1'000'003);
  EXPECT_EQ(rtt.max(), 50u * 1'000'003);
  EXPECT_EQ(rtt.Percentile(50), 30u * 1'000'003);
  EXPECT_EQ(rtt.Percentile(20), 10u * 1'000'003);
  EXPECT_EQ(rtt.Percentile(21), 20u * 1'000'003);
  EXPECT_EQ(rtt.Percentile(100), 50u * 1'000'003);
}

TEST(FcprobeRttSeries, ManyAreKnownToA128th) {
  RttSeries rtt;
  for (uint64_t i = 100'000; i >= 1; --i) rtt.Add(i * 1000);
  EXPECT_EQ(rtt.count(), 100'000u);
  EXPECT_EQ(rtt.min(), 1000u);
  EXPECT_EQ(rtt.max(), 100'000'000u);
  for (double percent : {1.0, 50.0, 90.0, 99.0, 99.9}) {
    const double exact = percent * 1e6;
    EXPECT_NEAR(static_cast<double>(rtt.Percentile(percent)), exact, exact / 128);
  }
  EXPECT_EQ(rtt.ToHistogram().count(), 100'000u);
}

TEST(FcprobeRttSeries, NothingIsLostWhereExactEnds) {
  RttSeries rtt;
  for (uint64_t i = 0; i <= RttSeries::kExact; ++i) rtt.Add(100);
  EXPECT_EQ(rtt.Percentile(1), 100u);
  EXPECT_EQ(rtt.Percentile(100), 100u);
  EXPECT_EQ(rtt.ToHistogram().count(), RttSeries::kExact + 1);
}

TEST(FcprobeText, MillisecondsHaveThreeDigitsLikeFpings) {
  EXPECT_EQ(Milliseconds(0), "0.000");
  EXPECT_EQ(Milliseconds(47'400), "0.047");
  EXPECT_EQ(Milliseconds(4'714'000), "4.71");
  EXPECT_EQ(Milliseconds(47'140'000), "47.1");
  EXPECT_EQ(Milliseconds(471'400'000), "471");
}

TEST(FcprobeText, AReasonSaysWhatIsKnown) {
  fc_probe_result result = {};
  result.icmp_type = -1;
  result.verdict = FC_VERDICT_UP;
  EXPECT_EQ(Reason(result, AF_INET), "");
  result.verdict = FC_VERDICT_DOWN_TIMEOUT;
  result.deadline_ns = 2'500'000;
  EXPECT_EQ(Reason(result, AF_INET), "no answer within 2.5 ms");
  result.verdict = FC_VERDICT_LOCAL_FAULT;
  result.error = 101;
  EXPECT_EQ(Reason(result, AF_INET), "Network is unreachable");
  result.verdict = FC_VERDICT_DOWN_UNREACHABLE;
  result.icmp_type = 3;
  result.icmp_code = 13;
  EXPECT_EQ(Reason(result, AF_INET), "Communication Administratively Prohibited");
  result.icmp_type = 1;
  result.icmp_code = 3;
  EXPECT_EQ(Reason(result, AF_INET6), "Address Unreachable");
}

}  // namespace
}  // namespace fcprobe
