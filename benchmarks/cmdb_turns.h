// Two ways to the same result, one by the library and one without it, measured in turns in one run.
#ifndef FASTCONTAINER_BENCHMARKS_CMDB_TURNS_H_
#define FASTCONTAINER_BENCHMARKS_CMDB_TURNS_H_

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fastcontainer/clock.h"
#include "lib/base/epoll_reactor.h"

namespace fastcontainer::benchmarks {

[[noreturn]] inline void Die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

inline double Median(std::vector<Nanos>& samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return static_cast<double>(*middle);
}

// One operation, and how long it took.
using Operation = std::function<Nanos()>;

// Prints the medians, in nanoseconds, as a line "NAME LIBRARY RAW".
inline void InTurns(const char* name, const Operation& library, const Operation& raw, int rounds = 120,
                    int block = 25) {
  std::vector<Nanos> took[2];
  for (int round = -rounds / 10; round < rounds; ++round) {
    for (const int side : {round & 1, ~round & 1}) {
      for (int i = 0; i < block; ++i) {
        const Nanos time = (side == 0 ? library : raw)();
        if (round >= 0) took[side].push_back(time);  // the first rounds warm up
      }
    }
  }
  std::printf("%s %.0f %.0f\n", name, Median(took[0]), Median(took[1]));
  std::fflush(stdout);
}

// The loop of a program that uses the library: what is measured begins and ends inside of it.
class Loop {
 public:
  EpollReactor& reactor() { return *reactor_; }
  Nanos Now() const { return reactor_->Now(); }

  template <typename Done>
  void RunUntil(Done done) {
    const Nanos end = Now() + 300 * kSecond;
    while (!done()) {
      if (Now() > end) Die("no answer");
      reactor_->Wait(end);
      reactor_->Process(0);
    }
  }
  // From `begin` to Finish().
  template <typename Begin>
  Nanos Time(Begin begin) {
    finished_ = 0;
    reactor_->Defer([&] {
      began_ = Now();
      begin();
    });
    RunUntil([&] { return finished_ != 0; });
    return finished_ - began_;
  }
  void BeginAgain() { began_ = Now(); }
  void Finish() { finished_ = Now(); }

 private:
  const std::unique_ptr<EpollReactor> reactor_ = EpollReactor::Create().value();
  Nanos began_ = 0;
  Nanos finished_ = 0;
};

// As long as a placement record is.
inline std::string SomeValue(uint64_t number) {
  std::string value = R"({"v":1,"host":"host-0017","address":"10.1.2.3","epoch":)" + std::to_string(number) +
                      R"(,"op":"00000000000000000000000000000000","reason":"first","since":1700000000000})";
  return value;
}

}  // namespace fastcontainer::benchmarks

#endif  // FASTCONTAINER_BENCHMARKS_CMDB_TURNS_H_
