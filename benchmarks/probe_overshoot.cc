#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "benchmarks/probe_lab.h"
#include "benchmarks/probe_peers.h"
#include "benchmarks/probe_scenarios.h"

namespace {

constexpr int64_t kDeadline = 10 * lab::kMillisecond;

// A timer that event loops can poll; unlike the time-out of poll() it has no slack.
class Timer {
 public:
  Timer() : fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {}
  ~Timer() { close(fd_); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Until `at` or until `fd` (-1: none) is readable.
  void Wait(int64_t at, int fd) {
    itimerspec due{};
    due.it_value = {at / lab::kSecond, at % lab::kSecond};
    timerfd_settime(fd_, TFD_TIMER_ABSTIME, &due, nullptr);
    pollfd fds[] = {{fd_, POLLIN, 0}, {fd, POLLIN, 0}};
    poll(fds, 2, -1);
  }

 private:
  int fd_;
};

struct Overshoots {
  std::vector<int64_t> timer, ours, receive_timeout;
  int64_t wrong = 0;
};

int64_t OfProber(Prober* prober, Timer* timer, const sockaddr_in& silent, int64_t* wrong) {
  const fc_probe_options options = Options(kDeadline, 3 * lab::kMillisecond);
  int verdict = -1;
  const fc_probe_cb take = [](void* user_data, const fc_probe_result* result) {
    *static_cast<int*>(user_data) = result->verdict;
  };
  const int64_t begin = lab::Now();
  fc_prober_probe(prober->get(), reinterpret_cast<const sockaddr*>(&silent), sizeof(silent), &options, take,
                  &verdict, nullptr);
  while (verdict < 0) {
    timer->Wait(static_cast<int64_t>(fc_prober_deadline(prober->get())), fc_prober_fd(prober->get()));
    fc_prober_process(prober->get());
  }
  *wrong += verdict != FC_VERDICT_DOWN_TIMEOUT;
  return lab::Now() - begin - kDeadline;
}

void Add(const char* name, std::vector<int64_t>* times, Report* report) {
  report->Add(std::string(name) + ".p50_ms", static_cast<double>(Percentile(times, 0.5)) / 1e6);
  report->Add(std::string(name) + ".p99_ms", static_cast<double>(Percentile(times, 0.99)) / 1e6);
}

}  // namespace

void Overshoot(const Arguments& arguments, Report* report) {
  const sockaddr_in silent = lab::Address(lab::kSilent);
  Prober prober;
  Timer timer;
  if (!prober.ok()) return report->Skip(prober.problem());
  Overshoots found;
  for (int64_t probes = Number(arguments, "probes", 400); probes > 0; --probes) {
    found.ours.push_back(OfProber(&prober, &timer, silent, &found.wrong));
    const int64_t due = lab::Now() + kDeadline;
    timer.Wait(due, -1);
    found.timer.push_back(lab::Now() - due);
    const int64_t begin = lab::Now();
    int error;
    AskByNewRawSocket(silent, kDeadline, &error);
    if (error == 0) found.receive_timeout.push_back(lab::Now() - begin - kDeadline);
  }
  report->Add("wrong", static_cast<double>(found.wrong));
  Add("ours", &found.ours, report);
  Add("timer", &found.timer, report);
  if (!found.receive_timeout.empty()) Add("receive_timeout", &found.receive_timeout, report);
}
