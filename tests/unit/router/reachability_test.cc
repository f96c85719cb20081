#include "lib/router/reachability.h"

#include <gtest/gtest.h>

namespace fastcontainer {
namespace {

HostVerdict Of(IcmpEvidence icmp, DispatcherEvidence dispatcher, bool bytes = false) {
  return Judge(Evidence{icmp, dispatcher, bytes});
}

TEST(Reachability, BothAnswerIsUp) {
  EXPECT_EQ(Of(IcmpEvidence::kAnswered, DispatcherEvidence::kAnswered), HostVerdict::kUp);
}

TEST(Reachability, AnAnsweringMachineWithoutItsDispatcherIsServiceDown) {
  EXPECT_EQ(Of(IcmpEvidence::kAnswered, DispatcherEvidence::kSilent), HostVerdict::kServiceDown);
  EXPECT_EQ(Of(IcmpEvidence::kAnswered, DispatcherEvidence::kRefused), HostVerdict::kServiceDown);
}

TEST(Reachability, FilteredIcmpIsUpIfTheDispatcherAnswers) {
  EXPECT_EQ(Of(IcmpEvidence::kSilent, DispatcherEvidence::kAnswered), HostVerdict::kUp);
}

TEST(Reachability, SilenceOfBothIsDownAtTheDeadlineOfIcmp) {
  EXPECT_EQ(Of(IcmpEvidence::kSilent, DispatcherEvidence::kPending), HostVerdict::kDown);
  EXPECT_EQ(Of(IcmpEvidence::kSilent, DispatcherEvidence::kSilent), HostVerdict::kDown);
  EXPECT_EQ(Of(IcmpEvidence::kSilent, DispatcherEvidence::kRefused), HostVerdict::kDown);
}

TEST(Reachability, BytesOfAContainerKeepItsHostUp) {
  EXPECT_EQ(Of(IcmpEvidence::kSilent, DispatcherEvidence::kPending, true), HostVerdict::kUp);
  EXPECT_EQ(Of(IcmpEvidence::kPending, DispatcherEvidence::kNotAsked, true), HostVerdict::kUp);
}

TEST(Reachability, ASlowDispatcherIsNotJudgedByTheDeadlineOfIcmp) {
  EXPECT_EQ(Of(IcmpEvidence::kAnswered, DispatcherEvidence::kPending), HostVerdict::kUp);
  EXPECT_EQ(Of(IcmpEvidence::kPending, DispatcherEvidence::kPending), HostVerdict::kUndecided);
}

TEST(Reachability, ALocalFaultIsNeverEvidence) {
  EXPECT_EQ(Of(IcmpEvidence::kLocalFault, DispatcherEvidence::kSilent), HostVerdict::kLocalFault);
  EXPECT_EQ(Of(IcmpEvidence::kLocalFault, DispatcherEvidence::kRefused), HostVerdict::kLocalFault);
  EXPECT_EQ(Of(IcmpEvidence::kLocalFault, DispatcherEvidence::kPending), HostVerdict::kUndecided);
  EXPECT_EQ(Of(IcmpEvidence::kLocalFault, DispatcherEvidence::kAnswered), HostVerdict::kUp);
}

TEST(Reachability, WithoutPermissionForIcmpTheDispatcherAloneDecidesInItsOwnTime) {
  EXPECT_EQ(Of(IcmpEvidence::kUnavailable, DispatcherEvidence::kPending), HostVerdict::kUndecided);
  EXPECT_EQ(Of(IcmpEvidence::kUnavailable, DispatcherEvidence::kSilent), HostVerdict::kDown);
  EXPECT_EQ(Of(IcmpEvidence::kUnavailable, DispatcherEvidence::kAnswered), HostVerdict::kUp);
}

}  // namespace
}  // namespace fastcontainer
