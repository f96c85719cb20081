#include <poll.h>

#include "benchmarks/probe_lab.h"
#include "benchmarks/probe_peers.h"
#include "benchmarks/probe_scenarios.h"

namespace {

constexpr int64_t kDeadline = 3 * lab::kMillisecond;

void Compute(int64_t length) {
  const int64_t end = lab::Now() + length;
  while (lab::Now() < end) {
  }
}

// The answer lies in the socket when the loop comes back, and the deadline has passed.
int64_t FalseAfterBusyLoop(Prober* prober, const sockaddr_in& to) {
  const fc_probe_options options = Options(10 * lab::kMillisecond, 3 * lab::kMillisecond);
  int64_t wrong = 0;
  for (int i = 0; i < 100; ++i) {
    int verdict = -1;
    const fc_probe_cb take = [](void* user_data, const fc_probe_result* result) {
      *static_cast<int*>(user_data) = result->verdict;
    };
    fc_prober_probe(prober->get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to), &options, take,
                    &verdict, nullptr);
    Compute(15 * lab::kMillisecond);
    while (verdict < 0) prober->Turn();
    wrong += verdict != FC_VERDICT_UP;
  }
  return wrong;
}

}  // namespace

// Until the user's clock has failed often enough for a ratio to mean something.
void Hogs(const Arguments& arguments, Report* report) {
  const int64_t seconds = Number(arguments, "seconds", 20);
  const int64_t enough = Number(arguments, "false-alarms", 60);
  const sockaddr_in to = lab::Address(lab::kFar);
  const fc_probe_options options = Options(kDeadline);
  Prober prober;
  UserClock user_clock;
  if (!prober.ok()) return report->Skip(prober.problem());
  if (user_clock.Open() != 0) return report->Skip("no ping socket for the peer");
  report->Add("busy_loop", static_cast<double>(FalseAfterBusyLoop(&prober, to)));
  int64_t probes = 0, ours = 0, theirs = 0;
  {
    const lab::Hogs hogs(4, static_cast<int>(seconds) + 5);
    const int64_t end = lab::Now() + seconds * lab::kSecond;
    for (; lab::Now() < end && theirs < enough; ++probes) {
      ours += prober.Ask(to, options).verdict != FC_VERDICT_UP;
      theirs += !user_clock.IsUp(to, kDeadline);
    }
  }
  report->Add("probes", static_cast<double>(probes));
  report->Add("ours", static_cast<double>(ours));
  report->Add("user_clock", static_cast<double>(theirs));
}
