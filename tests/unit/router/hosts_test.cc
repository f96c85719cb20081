// How long a dispatcher may take to answer before its service counts as down.
#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

class HostsTest : public RouterTest {
 protected:
  // Its container refuses a connection, and the dispatcher has fallen silent, while its machine answers.
  void AskASilentDispatcher() {
    options.service_deadline = 100 * kMillisecond;
    options.freshness = kMillisecond;
    PutContainers(1);
    Begin();
    Route("c0", &request);
    Settle();
    ASSERT_EQ(request.code, RouteCode::kOk);
    h1.silent = true;
    Retry(&request, Outcome::kRefused);
  }
  uint64_t ServiceDown() { return router->Stats().verdict_service_down; }

  Asked request;
};

TEST_F(HostsTest, ADispatcherThatIsSilentForItsDeadlineIsDown) {
  AskASilentDispatcher();
  Advance(99 * kMillisecond);
  EXPECT_EQ(ServiceDown(), 0u);
  Advance(150 * kMillisecond);
  EXPECT_GE(ServiceDown(), 1u);
}

TEST_F(HostsTest, ADispatcherIsAskedWhenItsMachineIsFirstSilent) {
  options.service_deadline = 100 * kMillisecond;
  PutContainers(1);
  Begin();
  Route("c0", &request);
  Settle();
  ASSERT_EQ(request.code, RouteCode::kOk);
  h1.silent = true;  // stopped, while its kernel goes on answering
  Advance(options.guard + options.service_deadline - kMillisecond);
  EXPECT_EQ(ServiceDown(), 0u);
  Advance(3 * kMillisecond);
  EXPECT_EQ(ServiceDown(), 1u) << "its deadline began later than the silence";
}

TEST_F(HostsTest, OneThatHasReportedOverloadHasLonger) {
  h1.overloaded = true;
  AskASilentDispatcher();
  Advance(900 * kMillisecond);
  EXPECT_EQ(ServiceDown(), 0u) << "load was taken for death";
  h1.silent = false;
  Advance(kSecond);
  EXPECT_EQ(request.code, RouteCode::kOk);
  EXPECT_EQ(ServiceDown(), 0u);
}

}  // namespace
}  // namespace fastcontainer
