#include "examples/fcprobe/histogram.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "examples/fcprobe/text.h"

namespace fcprobe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

uint64_t Stored(uint64_t value) {
  Histogram histogram;
  histogram.Add(value);
  return histogram.ValueAtRank(1);
}

TEST(FcprobeHistogram, SmallValuesAreExact) {
  for (uint64_t value = 0; value < 128; ++value) EXPECT_EQ(Stored(value), value);
}

TEST(FcprobeHistogram, AValueIsKnownToA128thOfItself) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t value = random() >> (22 + random() % 40);
    const uint64_t stored = Stored(value);
    const uint64_t error = stored > value ? stored - value : value - stored;
    ASSERT_LE(error * 128, value) << value;
  }
}

TEST(FcprobeHistogram, PowersOfTwoAndTheirNeighboursKeepTheirOrder) {
  uint64_t before = 0;
  for (int bit = 1; bit < 42; ++bit) {
    for (uint64_t value : {(uint64_t{1} << bit) - 1, uint64_t{1} << bit}) {
      EXPECT_GE(Stored(value), before);
      before = Stored(value);
    }
  }
}

TEST(FcprobeHistogram, TooLargeCountsAsTheLargest) {
  EXPECT_EQ(Stored(UINT64_MAX), Stored(Histogram::kMost));
}

TEST(FcprobeHistogram, RanksFollowTheSortedValues) {
  std::mt19937_64 random(11);
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 10'000; ++i) values.push_back(random() % 50'000'000);
  for (uint64_t value : values) histogram.Add(value);
  std::sort(values.begin(), values.end());
  for (uint64_t rank : {1u, 100u, 5000u, 9900u, 10'000u}) {
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.ValueAtRank(rank)), exact, exact / 128);
  }
}

TEST(FcprobeHistogram, AnEmptyOneHasNothing) {
  EXPECT_EQ(Histogram().ValueAtRank(1), 0u);
  EXPECT_THAT(HistogramRows(Histogram(), 40), IsEmpty());
}

TEST(FcprobeHistogram, RowsAreOneTwoFiveFromTheFirstToTheLast) {
  Histogram histogram;
  for (uint64_t value : {30'000u, 40'000u, 45'000u, 49'000u, 150'000u}) histogram.Add(value);
  const std::vector<std::string> rows = HistogramRows(histogram, 8);
  EXPECT_THAT(
      rows, ElementsAre(HasSubstr(" 20 us -  50 us |######## 4 80.0%"), HasSubstr(" 50 us - 100 us | 0 0.0%"),
                        HasSubstr("100 us - 200 us |## 1 20.0%")));
}

}  // namespace
}  // namespace fcprobe
