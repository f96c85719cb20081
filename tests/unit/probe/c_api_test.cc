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

TEST_F(ProbeCApi, DestroyCallsNobody) {
  ASSERT_EQ(Probe(localhost_, &options_), FC_PENDING);
  fc_prober_destroy(prober_);
  prober_ = nullptr;
  EXPECT_TRUE(results_.empty());
}

}  // namespace
}  // namespace fastcontainer
