#include "examples/fcprobe/targets.h"

#include <gmock/gmock.h>

#include <sstream>

namespace fcprobe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Made(const std::vector<std::string>& words) {
  std::vector<std::string> made;
  EXPECT_EQ(Generate(words, &made), "");
  return made;
}

std::string Refused(const std::vector<std::string>& words) {
  std::vector<std::string> made;
  return Generate(words, &made);
}

TEST(FcprobeGenerate, ANetworkIsWithoutItsNetworkAndBroadcastAddresses) {
  EXPECT_THAT(Made({"192.0.2.9/29"}),
              ElementsAre("192.0.2.9", "192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14"));
}

TEST(FcprobeGenerate, NetworksOfOneAndTwoAddressesAreComplete) {
  EXPECT_THAT(Made({"192.0.2.4/31"}), ElementsAre("192.0.2.4", "192.0.2.5"));
  EXPECT_THAT(Made({"192.0.2.4/32"}), ElementsAre("192.0.2.4"));
}

TEST(FcprobeGenerate, ARangeHasBothEndsAndCrossesBytes) {
  EXPECT_THAT(Made({"192.0.2.254", "192.0.3.1"}),
              ElementsAre("192.0.2.254", "192.0.2.255", "192.0.3.0", "192.0.3.1"));
  EXPECT_EQ(Made({"10.0.0.0", "10.1.255.255"}).size(), 131072u);
}

TEST(FcprobeGenerate, Ipv6NetworksAreComplete) {
  EXPECT_THAT(Made({"2001:db8::fffe/126"}),
              ElementsAre("2001:db8::fffc", "2001:db8::fffd", "2001:db8::fffe", "2001:db8::ffff"));
  EXPECT_THAT(Made({"2001:db8::ffff", "2001:db8::1:1"}),
              ElementsAre("2001:db8::ffff", "2001:db8::1:0", "2001:db8::1:1"));
}

TEST(FcprobeGenerate, WhatIsRefusedSaysWhatIsAccepted) {
  EXPECT_THAT(Refused({"192.0.2.0/40"}), HasSubstr("1 to 32"));
  EXPECT_THAT(Refused({"192.0.2.0/x"}), HasSubstr("1 to 32"));
  EXPECT_THAT(Refused({"192.0.2.0"}), HasSubstr("ADDRESS/BITS"));
  EXPECT_THAT(Refused({"host/24"}), HasSubstr("IPv4 or IPv6 address"));
  EXPECT_THAT(Refused({"192.0.2.9", "192.0.2.1"}), HasSubstr("before"));
  EXPECT_THAT(Refused({"192.0.2.9", "::1"}), HasSubstr("family"));
  EXPECT_THAT(Refused({"10.0.0.0/8"}), HasSubstr("at most"));
  EXPECT_THAT(Refused({"2001:db8::/32"}), HasSubstr("at most"));
  EXPECT_THAT(Refused({"::", "ffff::"}), HasSubstr("at most"));
}

TEST(FcprobeTargets, AFileHasOneTargetALineAndComments) {
  std::istringstream in("192.0.2.1\n# no target\n\n  host.example  and more\n#\nlast");
  EXPECT_THAT(ReadTargets(in), ElementsAre("192.0.2.1", "host.example", "last"));
}

TEST(FcprobeTargets, PortsAreSplitFromNamesAndFromAddresses) {
  const struct {
    std::string word, host;
    int port;
  } kCases[] = {{"host", "host", 0},
                {"host:80", "host", 80},
                {"192.0.2.1:65535", "192.0.2.1", 65535},
                {"::1", "::1", 0},
                {"2001:db8::80", "2001:db8::80", 0},
                {"[::1]", "::1", 0},
                {"[2001:db8::1]:443", "2001:db8::1", 443}};
  for (const auto& one : kCases) {
    HostPort split;
    EXPECT_EQ(SplitTarget(one.word, &split), "") << one.word;
    EXPECT_EQ(split.host, one.host);
    EXPECT_EQ(split.port, one.port);
  }
}

TEST(FcprobeTargets, WhatIsNoPortIsRefused) {
  for (const char* word : {"host:", "host:0", "host:65536", "host:http", "[::1", "[::1]80", "[::1]:"}) {
    HostPort split;
    EXPECT_NE(SplitTarget(word, &split), "") << word;
  }
}

TEST(FcprobeTargets, AddressesAreResolvedAndShownAsTheyWereGiven) {
  Options options;
  Target target;
  EXPECT_EQ(Resolve(options, "[::1]:443", &target), "");
  EXPECT_EQ(target.display, "[::1]:443");
  EXPECT_EQ(target.address, "::1");
  EXPECT_EQ(target.port, 443);
  EXPECT_EQ(target.host.ss_family, AF_INET6);
}

TEST(FcprobeTargets, AnAddressOfTheOtherFamilyIsNotFound) {
  Options options;
  options.family = AF_INET;
  Target target;
  EXPECT_THAT(Resolve(options, "::1", &target), testing::Not(IsEmpty()));
}

TEST(FcprobeTargets, TcpNeedsAPortAndIcmpHasNone) {
  Options options;
  Target target;
  options.mechanism = FC_PROBE_TCP_SYN;
  EXPECT_THAT(Resolve(options, "127.0.0.1", &target), HasSubstr("port"));
  options.port = 80;
  EXPECT_EQ(Resolve(options, "127.0.0.1", &target), "");
  EXPECT_EQ(target.port, 80);
  options = {};
  options.mechanism = FC_PROBE_ICMP_RAW;
  EXPECT_THAT(Resolve(options, "127.0.0.1:80", &target), HasSubstr("ports"));
}

}  // namespace
}  // namespace fcprobe
