// libfastcontainer-probe, as a C program sees it.
#include <fastcontainer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/probe/net_namespace.h"

namespace fastcontainer {
namespace {

constexpr uint64_t kFar = 3'600'000'000'000;

class ProbeCApi : public NetNamespace {
 protected:
  void SetUp() override {
    NetNamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    fc_error error = FC_ERROR_INIT;
    ASSERT_EQ(fc_prober_create(&prober_, nullptr, &error), FC_OK) << error.message;
    fc_probe_options_init(&options_);
    options_.deadline_ns = kFar;
  }
  void TearDown() override { fc_prober_destroy(prober_); }

  static void Record(void* user_data, const fc_probe_result* result) {
    static_cast<std::vector<fc_probe_result>*>(user_data)->push_back(*result);
  }
  int32_t Probe(const sockaddr_in& target, const fc_probe_options* options, uint64_t* probe = nullptr) {
    return fc_prober_probe(prober_, reinterpret_cast<const sockaddr*>(&target), sizeof(target), options,
                           &Record, &results_, probe);
  }

  const sockaddr_in localhost_ = Ipv4("127.0.0.1");
  fc_prober* prober_ = nullptr;
  fc_probe_options options_{};
  std::vector<fc_probe_result> results_;
};

TEST_F(ProbeCApi, HostThatAnswersIsUp) {
  uint64_t id = 0;
  EXPECT_EQ(fc_prober_deadline(prober_), UINT64_MAX);
  ASSERT_EQ(Probe(localhost_, &options_, &id), FC_PENDING);
  EXPECT_NE(id, 0u);
  EXPECT_LT(fc_prober_deadline(prober_), UINT64_MAX);
  pollfd p = {fc_prober_fd(prober_), POLLIN, 0};
  ASSERT_EQ(poll(&p, 1, -1), 1);
  EXPECT_TRUE(results_.empty());
  EXPECT_EQ(fc_prober_process(prober_), 1);
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].struct_size, sizeof(fc_probe_result));
  EXPECT_EQ(results_[0].verdict, FC_VERDICT_UP);
  EXPECT_EQ(results_[0].mechanism, FC_PROBE_ICMP_DATAGRAM);
  EXPECT_EQ(results_[0].packets, 1u);
  EXPECT_EQ(results_[0].icmp_type, -1);
  EXPECT_GT(results_[0].rtt_ns, 0u);
  EXPECT_EQ(fc_prober_cancel(prober_, id), FC_E_NOT_FOUND);
}

TEST_F(ProbeCApi, OptionsHaveDefaults) {
  fc_probe_options defaults;
  fc_probe_options_init(&defaults);
  EXPECT_EQ(defaults.struct_size, sizeof(defaults));
  EXPECT_EQ(defaults.deadline_ns, 10'000'000u);
  EXPECT_EQ(defaults.hedge_ns[0], 3'000'000u);
  EXPECT_EQ(defaults.hedge_ns[1], 0u);
  EXPECT_EQ(Probe(localhost_, nullptr), FC_PENDING);
}

TEST_F(ProbeCApi, CancelledProbeNeverCallsBack) {
  uint64_t id = 0;
  ASSERT_EQ(Probe(localhost_, &options_, &id), FC_PENDING);
  EXPECT_EQ(fc_prober_cancel(prober_, id), FC_OK);
  EXPECT_EQ(fc_prober_cancel(prober_, id), FC_E_NOT_FOUND);
  EXPECT_EQ(fc_prober_process(prober_), 0);
  EXPECT_TRUE(results_.empty());
}

TEST_F(ProbeCApi, WhatIsWrongIsRefused) {
  fc_probe_options wrong = options_;
  wrong.struct_size = 0;
  EXPECT_EQ(Probe(localhost_, &wrong), FC_E_INVALID);
  wrong = options_;
  wrong.flags = 2;
  EXPECT_EQ(Probe(localhost_, &wrong), FC_E_INVALID);
  wrong = options_;
  wrong.deadline_ns = UINT64_MAX;
  EXPECT_EQ(Probe(localhost_, &wrong), FC_E_INVALID);
  sockaddr_in other = localhost_;
  other.sin_family = AF_INET6;
  EXPECT_EQ(Probe(other, &options_), FC_E_INVALID);  // too short for one
  other.sin_family = AF_UNIX;
  EXPECT_EQ(Probe(other, &options_), FC_E_INVALID);
  const auto* const host = reinterpret_cast<const sockaddr*>(&localhost_);
  EXPECT_EQ(fc_prober_probe(prober_, host, 4, &options_, &Record, &results_, nullptr), FC_E_INVALID);
  EXPECT_EQ(fc_prober_probe(prober_, nullptr, 16, &options_, &Record, &results_, nullptr), FC_E_INVALID);
  EXPECT_EQ(fc_prober_probe(prober_, host, 16, &options_, nullptr, &results_, nullptr), FC_E_INVALID);
  EXPECT_EQ(fc_prober_cancel(nullptr, 1), FC_E_INVALID);
  EXPECT_EQ(fc_prober_create(nullptr, nullptr, nullptr), FC_E_INVALID);
  EXPECT_EQ(fc_prober_process(prober_), 0);
}

TEST_F(ProbeCApi, NewerProgramsOptionsAreRefusedOnlyIfTheyAreSet) {
  struct {
    fc_probe_options known;
    uint64_t unknown;
  } newer = {options_, 0};
  newer.known.struct_size = sizeof(newer);
  EXPECT_EQ(Probe(localhost_, &newer.known), FC_PENDING);
  newer.unknown = 1;
  EXPECT_EQ(Probe(localhost_, &newer.known), FC_E_INVALID);
}

TEST_F(ProbeCApi, WithoutPermissionTheErrorSaysWhatToSet) {
  ForbidPing();
  const WithoutCapability raw(CAP_NET_RAW);
  fc_error error = FC_ERROR_INIT;
  fc_prober* prober = prober_;
  EXPECT_EQ(fc_prober_create(&prober, nullptr, &error), FC_E_PERMISSION);
  EXPECT_EQ(prober, nullptr);
  EXPECT_EQ(error.code, FC_E_PERMISSION);
  EXPECT_THAT(error.message, testing::HasSubstr("net.ipv4.ping_group_range"));
  EXPECT_EQ(fc_prober_create(&prober, nullptr, nullptr), FC_E_PERMISSION);
  fc_prober_destroy(nullptr);
}

TEST_F(ProbeCApi, Ipv6HostIsProbedByTheSameProber) {
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_addr = in6addr_loopback;
  const int fd = fc_prober_fd(prober_);
  ASSERT_EQ(fc_prober_probe(prober_, reinterpret_cast<const sockaddr*>(&six), sizeof(six), &options_, &Record,
                            &results_, nullptr),
            FC_PENDING);
  pollfd p = {fd, POLLIN, 0};
  ASSERT_EQ(poll(&p, 1, -1), 1);
  EXPECT_EQ(fc_prober_process(prober_), 1);
  EXPECT_EQ(results_.at(0).verdict, FC_VERDICT_UP);
  EXPECT_EQ(fc_prober_fd(prober_), fd);
}

TEST_F(ProbeCApi, MechanismIsToldForEachFamily) {
  EXPECT_EQ(fc_prober_mechanism(prober_, AF_INET), FC_PROBE_ICMP_DATAGRAM);
  EXPECT_EQ(fc_prober_mechanism(prober_, AF_INET6), FC_PROBE_ICMP_DATAGRAM);
  EXPECT_EQ(fc_prober_mechanism(prober_, AF_UNIX), FC_PROBE_NONE);
  EXPECT_EQ(fc_prober_mechanism(nullptr, AF_INET), FC_PROBE_NONE);
}

TEST_F(ProbeCApi, EachMechanismCanBeForced) {
  for (const uint32_t mechanism :
       {FC_PROBE_ICMP_DATAGRAM, FC_PROBE_ICMP_RAW, FC_PROBE_TCP_CONNECT, FC_PROBE_TCP_SYN, FC_PROBE_UDP}) {
    fc_prober_options options;
    fc_prober_options_init(&options);
    options.mechanism = mechanism;
    fc_prober* prober = nullptr;
    fc_error error = FC_ERROR_INIT;
    ASSERT_EQ(fc_prober_create(&prober, &options, &error), FC_OK) << error.message;
    EXPECT_EQ(fc_prober_mechanism(prober, AF_INET), mechanism);
    sockaddr_in target = localhost_;
    const auto* const host = reinterpret_cast<const sockaddr*>(&target);
    const bool ports = mechanism >= FC_PROBE_TCP_CONNECT;
    if (ports) {
      EXPECT_EQ(fc_prober_probe(prober, host, sizeof(target), &options_, &Record, &results_, nullptr),
                FC_E_INVALID);
      target.sin_port = htons(9);
    }
    results_.clear();
    ASSERT_EQ(fc_prober_probe(prober, host, sizeof(target), &options_, &Record, &results_, nullptr),
              FC_PENDING);
    while (fc_prober_process(prober) == 0) {
      pollfd p = {fc_prober_fd(prober), POLLIN, 0};
      ASSERT_EQ(poll(&p, 1, -1), 1);
    }
    EXPECT_EQ(results_.at(0).verdict, ports ? FC_VERDICT_UP_PORT_CLOSED : FC_VERDICT_UP) << mechanism;
    EXPECT_EQ(results_.at(0).mechanism, mechanism);
    fc_prober_destroy(prober);
  }
}

TEST_F(ProbeCApi, ProberOptionsAreChecked) {
  fc_prober_options options;
  fc_prober_options_init(&options);
  fc_prober* prober = nullptr;
  fc_error error = FC_ERROR_INIT;
  options.mechanism = FC_PROBE_ECHO;
  EXPECT_EQ(fc_prober_create(&prober, &options, &error), FC_E_UNSUPPORTED);
  options.mechanism = 7;
  EXPECT_EQ(fc_prober_create(&prober, &options, &error), FC_E_INVALID);
  options.mechanism = 0;
  options.reserved = 1;
  EXPECT_EQ(fc_prober_create(&prober, &options, &error), FC_E_INVALID);
  options.reserved = 0;
  options.struct_size = 0;
  EXPECT_EQ(fc_prober_create(&prober, &options, &error), FC_E_INVALID);
  EXPECT_EQ(prober, nullptr);
}

TEST_F(ProbeCApi, WhatDoesNotFitTheMechanismOrTheFamilyIsRefused) {
  fc_probe_options wrong = options_;
  wrong.mechanism = FC_PROBE_ECHO;
  EXPECT_EQ(Probe(localhost_, &wrong), FC_E_UNSUPPORTED);
  wrong.mechanism = 7;
  EXPECT_EQ(Probe(localhost_, &wrong), FC_E_INVALID);
  wrong.mechanism = FC_PROBE_TCP_CONNECT;
  EXPECT_EQ(Probe(localhost_, &wrong), FC_E_INVALID);  // no port
  for (uint32_t fc_probe_options::*const field :
       {&fc_probe_options::dscp, &fc_probe_options::ttl, &fc_probe_options::size}) {
    wrong = options_;
    wrong.*field = 65'001;
    EXPECT_EQ(Probe(localhost_, &wrong), FC_E_INVALID);
  }
  sockaddr_in6 source{};
  source.sin6_family = AF_INET6;
  source.sin6_addr = in6addr_loopback;
  wrong = options_;
  wrong.source = reinterpret_cast<const sockaddr*>(&source);
  wrong.source_length = sizeof(source);
  EXPECT_EQ(Probe(localhost_, &wrong), FC_E_INVALID);
  wrong.source = reinterpret_cast<const sockaddr*>(&localhost_);
  wrong.source_length = 4;
  EXPECT_EQ(Probe(localhost_, &wrong), FC_E_INVALID);
  wrong.source_length = sizeof(localhost_);
  EXPECT_EQ(Probe(localhost_, &wrong), FC_PENDING);
}

TEST_F(ProbeCApi, OlderProgramsShorterOptionsAreTaken) {
  fc_probe_options older = options_;
  older.struct_size = offsetof(fc_probe_options, deadline_max_ns);
  older.mechanism = 77;  // beyond what it knows
  EXPECT_EQ(Probe(localhost_, &older), FC_PENDING);
}

TEST_F(ProbeCApi, BatchCallsBackForEachIndex) {
  std::vector<sockaddr_storage> hosts(300);
  for (size_t i = 0; i < hosts.size(); ++i) {
    sockaddr_in host = localhost_;
    host.sin_addr.s_addr = htonl((127u << 24) + 1 + static_cast<uint32_t>(i));
    memcpy(&hosts[i], &host, sizeof(host));
  }
  std::vector<int> calls(hosts.size());
  const fc_batch_cb count = [](void* user_data, size_t index, const fc_probe_result* result) {
    if (result->verdict == FC_VERDICT_UP) ++static_cast<std::vector<int>*>(user_data)->at(index);
  };
  uint64_t batch = 0;
  ASSERT_EQ(fc_prober_batch(prober_, hosts.data(), hosts.size(), &options_, 0, count, &calls, &batch),
            FC_PENDING);
  EXPECT_NE(batch, 0u);
  while (fc_prober_deadline(prober_) != UINT64_MAX) fc_prober_process(prober_);
  EXPECT_EQ(calls, std::vector<int>(hosts.size(), 1));
  EXPECT_EQ(fc_prober_cancel(prober_, batch), FC_E_NOT_FOUND);
  ASSERT_EQ(fc_prober_batch(prober_, hosts.data(), hosts.size(), &options_, 1, count, &calls, &batch),
            FC_PENDING);
  EXPECT_EQ(fc_prober_cancel(prober_, batch), FC_OK);
  EXPECT_EQ(fc_prober_deadline(prober_), UINT64_MAX);

  EXPECT_EQ(fc_prober_batch(prober_, hosts.data(), 0, &options_, 0, count, &calls, &batch), FC_E_INVALID);
  EXPECT_EQ(fc_prober_batch(prober_, nullptr, 1, &options_, 0, count, &calls, &batch), FC_E_INVALID);
  EXPECT_EQ(fc_prober_batch(prober_, hosts.data(), 1, &options_, 0, nullptr, &calls, &batch), FC_E_INVALID);
  hosts.back().ss_family = AF_UNIX;
  EXPECT_EQ(fc_prober_batch(prober_, hosts.data(), hosts.size(), &options_, 0, count, &calls, &batch),
            FC_E_INVALID);
}

TEST_F(ProbeCApi, EvidenceAnswersWithoutAPacketAndIsCounted) {
  const auto* const host = reinterpret_cast<const sockaddr*>(&localhost_);
  EXPECT_EQ(fc_prober_note_alive(prober_, host, sizeof(localhost_), 5000), FC_OK);
  EXPECT_EQ(fc_prober_note_alive(prober_, host, 4, 5000), FC_E_INVALID);
  EXPECT_EQ(fc_prober_note_connection(prober_, -1), FC_E_INVALID);
  const int idle = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(fc_prober_note_connection(prober_, idle), FC_E_NOT_FOUND);
  close(idle);
  fc_probe_options fresh = options_;
  fresh.freshness_ns = kFar;
  ASSERT_EQ(Probe(localhost_, &fresh), FC_PENDING);
  EXPECT_EQ(fc_prober_process(prober_), 1);
  EXPECT_EQ(results_.at(0).verdict, FC_VERDICT_UP);
  EXPECT_EQ(results_.at(0).shared, 1u);
  EXPECT_EQ(results_.at(0).packets, 0u);
  EXPECT_EQ(results_.at(0).rtt_ns, 5000u);
  ASSERT_EQ(Probe(localhost_, &options_), FC_PENDING);
  fc_prober_stats stats{};
  EXPECT_EQ(fc_prober_get_stats(prober_, &stats), FC_E_INVALID);
  stats.struct_size = sizeof(stats);
  EXPECT_EQ(fc_prober_get_stats(prober_, &stats), FC_OK);
  EXPECT_EQ(stats.open, 1u);
  EXPECT_EQ(stats.packets_sent, 1u);
  EXPECT_EQ(stats.shared, 1u);
  EXPECT_EQ(fc_prober_get_stats(nullptr, &stats), FC_E_INVALID);
}

TEST_F(ProbeCApi, OnceBlocksUntilTheVerdict) {
  fc_probe_result result{};
  fc_error error = FC_ERROR_INIT;
  const auto* const host = reinterpret_cast<const sockaddr*>(&localhost_);
  EXPECT_EQ(fc_probe_once(host, sizeof(localhost_), nullptr, &result, &error), FC_E_INVALID);
  result.struct_size = sizeof(result);
  ASSERT_EQ(fc_probe_once(host, sizeof(localhost_), &options_, &result, &error), FC_OK) << error.message;
  EXPECT_EQ(result.verdict, FC_VERDICT_UP);
  EXPECT_EQ(fc_probe_once(host, 4, &options_, &result, &error), FC_E_INVALID);
  IgnoreEchoes(true);
  fc_probe_options brief = options_;
  brief.deadline_ns = 2'000'000;
  ASSERT_EQ(fc_probe_once(host, sizeof(localhost_), &brief, &result, nullptr), FC_OK);
  EXPECT_EQ(result.verdict, FC_VERDICT_DOWN_TIMEOUT);
  EXPECT_EQ(result.deadline_ns, 2'000'000u);
  ForbidPing();
  const WithoutCapability raw(CAP_NET_RAW);
  EXPECT_EQ(fc_probe_once(host, sizeof(localhost_), &options_, &result, &error), FC_E_PERMISSION);
  EXPECT_THAT(error.message, testing::HasSubstr("net.ipv4.ping_group_range"));
}

TEST_F(ProbeCApi, DestroyCallsNobody) {
  ASSERT_EQ(Probe(localhost_, &options_), FC_PENDING);
  fc_prober_destroy(prober_);
  prober_ = nullptr;
  EXPECT_TRUE(results_.empty());
}

}  // namespace
}  // namespace fastcontainer
