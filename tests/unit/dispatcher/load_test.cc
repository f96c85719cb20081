#include "lib/dispatcher/load.h"

#include <gtest/gtest.h>

namespace fastcontainer {
namespace {

TEST(Load, PressureIsTheFirstLineOfPsi) {
  EXPECT_EQ(
      ParsePressure("some avg10=12.50 avg60=1.00 avg300=0.10 total=5\nfull avg10=9.00 avg60=0 total=0\n"),
      12.5f);
  EXPECT_FALSE(ParsePressure("").has_value());
  EXPECT_FALSE(ParsePressure("full avg10=1.00").has_value());
  EXPECT_FALSE(ParsePressure("some avg10=x").has_value());
}

TEST(Load, FreeMemoryIsWhatIsAvailable) {
  EXPECT_EQ(ParseMemAvailable("MemTotal:  2048 kB\nMemAvailable:    1024 kB\n"), uint64_t{1024} * 1024);
  EXPECT_FALSE(ParseMemAvailable("MemTotal:  2048 kB\n").has_value());
}

TEST(Load, TheMachineIsReadAtMostFourTimesASecond) {
  int readings = 0;
  LoadSampler sampler([&] {
    ++readings;
    return LoadReport();
  });
  for (Nanos now = 0; now < kSecond; now += kMillisecond) sampler.At(now);
  EXPECT_EQ(readings, 4);
}

TEST(Load, OverloadComesHighAndGoesLow) {
  LoadReport machine;
  LoadSampler sampler([&] { return machine; });
  Nanos now = 0;
  const auto overloaded = [&](float pressure) {
    machine.pressure = pressure;
    return sampler.At(now += kSecond).overloaded;
  };
  EXPECT_FALSE(overloaded(50));
  EXPECT_TRUE(overloaded(60));
  EXPECT_TRUE(overloaded(50));
  EXPECT_FALSE(overloaded(39));
  EXPECT_FALSE(overloaded(50));
}

TEST(Load, ThisMachineCanBeRead) {
  MachineLoad machine;
  const LoadReport report = machine.Read();
  EXPECT_GE(report.free_cpu, 0);
  EXPECT_GT(report.free_memory, 0u);
  EXPECT_GE(report.pressure, 0);
}

}  // namespace
}  // namespace fastcontainer
