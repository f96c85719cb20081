// The runner against a prober of the test's own: the library's functions are defined here, and answer as the
// script says, in the next fc_prober_process().
#include "examples/fcprobe/runner.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

namespace {

struct Sent {
  int target = 0;  // the last byte of its address
  fc_probe_options options = {};
  uint16_t source_port = 0;
  fc_probe_cb callback = nullptr;
  void* user_data = nullptr;
};

uint16_t PortOf(const sockaddr* address) {
  return address == nullptr ? uint16_t{0} : ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port);
}

}  // namespace

struct fc_prober {
  int fd = eventfd(0, EFD_NONBLOCK);
  std::function<fc_probe_result(const Sent&)> answer;
  std::vector<Sent> open, all;
};

void fc_probe_options_init(fc_probe_options* options) {
  *options = {};
  options->struct_size = sizeof(*options);
}
int fc_prober_fd(const fc_prober* prober) { return prober->fd; }
uint64_t fc_prober_deadline(const fc_prober* prober) { return prober->open.empty() ? UINT64_MAX : 1; }
int32_t fc_prober_probe(fc_prober* prober, const struct sockaddr* host, uint32_t,
                        const fc_probe_options* options, fc_probe_cb callback, void* user_data, uint64_t*) {
  const uint32_t address = ntohl(reinterpret_cast<const sockaddr_in*>(host)->sin_addr.s_addr);
  prober->open.push_back(
      {static_cast<int>(address & 255), *options, PortOf(options->source), callback, user_data});
  prober->all.push_back(prober->open.back());
  return FC_PENDING;
}
int32_t fc_prober_process(fc_prober* prober) {
  const std::vector<Sent> due = std::move(prober->open);
  prober->open.clear();
  for (const Sent& sent : due) {
    const fc_probe_result result = prober->answer(sent);
    sent.callback(sent.user_data, &result);
  }
  return static_cast<int32_t>(due.size());
}

namespace fcprobe {
namespace {

using ::testing::ElementsAre;

fc_probe_result Result(int32_t verdict, int error = 0, uint32_t packets = 1) {
  fc_probe_result result = {};
  result.struct_size = sizeof(result);
  result.verdict = verdict;
  result.error = error;
  result.packets = packets;
  result.icmp_type = -1;
  result.rtt_ns = 1000;
  result.deadline_ns = 20'000;
  return result;
}

class Silent : public Report {
 public:
  void NotFound(const std::string&, const std::string&) override {}
  void Judged(const TargetState& state, const Verdict& verdict) override {
    judged.emplace_back(state.target.display, verdict);
  }
  void Interim(const std::vector<TargetState>&) override {}
  void End(const std::vector<TargetState>&, const Totals&) override {}

  std::vector<std::pair<std::string, Verdict>> judged;
};

class FcprobeRunner : public testing::Test {
 protected:
  FcprobeRunner() {
    options_.interval = 0;
    options_.period = 10'000;
    options_.timeout = 20'000;
    prober_.answer = [](const Sent&) { return Result(FC_VERDICT_UP); };
  }
  ~FcprobeRunner() override { close(prober_.fd); }

  void Run(int targets) {
    for (int i = 1; i <= targets; ++i) {
      TargetState& state = states_.emplace_back();
      ASSERT_EQ(Resolve(options_, "192.0.2." + std::to_string(i), &state.target), "");
    }
    Runner runner(options_, &prober_, &report_);
    EXPECT_TRUE(runner.Run(&states_));
    totals_ = *runner.totals();
  }
  std::vector<int> Order() const {
    std::vector<int> order;
    for (const Sent& sent : prober_.all) order.push_back(sent.target);
    return order;
  }

  Options options_;
  fc_prober prober_;
  Silent report_;
  std::vector<TargetState> states_;
  Totals totals_;
};

TEST_F(FcprobeRunner, EachTargetIsAskedOnceAndJudged) {
  Run(3);
  EXPECT_THAT(Order(), ElementsAre(1, 2, 3));
  EXPECT_EQ(totals_.alive, 3u);
  EXPECT_EQ(report_.judged.size(), 3u);
}

TEST_F(FcprobeRunner, CountedProbesTakeTurnsAndAreNumberedFromZero) {
  options_.mode = Mode::kCount;
  options_.count = 3;
  options_.each_rtt = true;
  Run(2);
  EXPECT_THAT(Order(), ElementsAre(1, 2, 1, 2, 1, 2));
  EXPECT_EQ(report_.judged.back().second.sequence, 2u);
  EXPECT_EQ(states_[0].each.size(), 3u);
  EXPECT_EQ(totals_.alive, 2u);
}

TEST_F(FcprobeRunner, SilenceIsTriedAgainUntilTheRetriesAreUsedUp) {
  prober_.answer = [](const Sent&) { return Result(FC_VERDICT_DOWN_TIMEOUT, 0, 3); };
  options_.retries = 6;
  Run(1);
  EXPECT_EQ(prober_.all.size(), 3u);  // seven packets, three to a probe
  ASSERT_EQ(report_.judged.size(), 1u);
  EXPECT_EQ(report_.judged[0].second.packets, 9u);
  EXPECT_FALSE(report_.judged[0].second.reached);
}

TEST_F(FcprobeRunner, ALaterAttemptThatIsAnsweredCounts) {
  prober_.answer = [this](const Sent&) {
    return Result(prober_.all.size() < 2 ? FC_VERDICT_DOWN_TIMEOUT : FC_VERDICT_UP);
  };
  Run(1);
  EXPECT_EQ(totals_.alive, 1u);
  EXPECT_EQ(states_[0].judged, 1u);
}

TEST_F(FcprobeRunner, WhatIsSaidToBeUnreachableIsNotTriedAgain) {
  prober_.answer = [](const Sent&) { return Result(FC_VERDICT_DOWN_UNREACHABLE, EHOSTUNREACH); };
  Run(1);
  EXPECT_EQ(prober_.all.size(), 1u);
}

TEST_F(FcprobeRunner, FullBuffersAreTriedAgainAndAMissingRouteIsNot) {
  prober_.answer = [](const Sent& sent) {
    return Result(FC_VERDICT_LOCAL_FAULT, sent.target == 1 ? ENOBUFS : ENETUNREACH);
  };
  Run(2);
  std::vector<int> order = Order();
  std::sort(order.begin(), order.end());
  EXPECT_THAT(order, ElementsAre(1, 1, 2));
}

TEST_F(FcprobeRunner, ASweepAsksFromEachPortAndReplacesOneThatIsTaken) {
  options_.source_ports = 3;
  options_.first_source_port = 5000;
  options_.port = 80;
  prober_.answer = [](const Sent& sent) {
    return sent.source_port == 5001 ? Result(FC_VERDICT_LOCAL_FAULT, EADDRINUSE, 0) : Result(FC_VERDICT_UP);
  };
  Run(1);
  std::vector<uint16_t> ports;
  for (const Sent& sent : prober_.all) ports.push_back(sent.source_port);
  EXPECT_THAT(ports, ElementsAre(5000, 5001, 5002, 5003));
  EXPECT_EQ(states_[0].reached, 3u);
  EXPECT_TRUE(states_[0].failed.empty());
}

TEST_F(FcprobeRunner, AClosedPortIsReachedUnlessItMustBeOpen) {
  options_.port = 80;
  prober_.answer = [](const Sent&) { return Result(FC_VERDICT_UP_PORT_CLOSED); };
  Run(1);
  EXPECT_EQ(totals_.alive, 1u);
  options_.need_open = true;
  states_.clear();
  Run(1);
  EXPECT_EQ(totals_.alive, 0u);
}

TEST_F(FcprobeRunner, ItStopsWhenEnoughAreReached) {
  options_.least_reachable = 2;
  options_.stop_when_reached = true;
  options_.interval = 1000;
  Run(200);
  EXPECT_EQ(totals_.alive, 2u);
}

TEST_F(FcprobeRunner, WhatIsAskedReachesTheProber) {
  options_.dscp = 46;
  options_.ttl = 9;
  options_.size = 100;
  options_.dont_fragment = true;
  options_.hedges = {3000, 6000};
  options_.adaptive = 70'000;
  options_.source = "192.0.2.200";
  Run(1);
  const fc_probe_options& sent = prober_.all.at(0).options;
  EXPECT_EQ(sent.dscp, 46u);
  EXPECT_EQ(sent.ttl, 9u);
  EXPECT_EQ(sent.size, 100u);
  EXPECT_EQ(sent.flags, FC_PROBE_DONT_FRAGMENT);
  EXPECT_EQ(sent.deadline_ns, 20'000u);
  EXPECT_EQ(sent.deadline_max_ns, 70'000u);
  EXPECT_EQ(sent.hedge_ns[1], 6000u);
  EXPECT_EQ(sent.source_length, sizeof(sockaddr_in));
  EXPECT_EQ(sent.mechanism, FC_PROBE_NONE);
}

}  // namespace
}  // namespace fcprobe
