// Hosts behind a TUN device that answer echo requests after delays from a seeded distribution. It answers in
// the device, not by another's stack: every delay is the one that was drawn.
#ifndef FASTCONTAINER_BENCHMARKS_TUN_RESPONDER_H_
#define FASTCONTAINER_BENCHMARKS_TUN_RESPONDER_H_

#include <atomic>
#include <cstdint>
#include <queue>
#include <random>
#include <string>
#include <vector>

// A log-normal body and, for a share of the packets, a Pareto tail; each packet by itself. Chosen so that of
// one million packets about 5,000 take longer than 10 ms.
struct DelayDistribution {
  double body_median_ms = 0.6;
  double body_sigma = 0.6;
  double tail_share = 0.0305;
  double tail_from_ms = 3;
  double tail_exponent = 1.5;
  double most_ms = 1000;

  int64_t Draw(std::mt19937_64* random) const;
};

class TunResponder {
 public:
  ~TunResponder();
  // Makes the device and routes 10.99.0.0/16 into it. Empty, or why not.
  std::string Open();

  // Which requests are answered at all: those whose payload begins with `only_payload`, if it is not empty,
  // and never those to 10.99.255.0/24.
  void Serve(const DelayDistribution& delays, uint64_t seed, const std::string& only_payload);

  // Whether it was kept from the processor for more than a millisecond at some time between the two, by what
  // another process that serves has noted: then delays were longer than they were drawn, many at once, and
  // what was judged meanwhile tells of this machine.
  bool WasLate(int64_t from, int64_t to) const;

 private:
  struct Reply {
    int64_t due;
    uint32_t size;
    uint8_t bytes[128];
    bool operator>(const Reply& other) const { return due > other.due; }
  };

  static constexpr uint32_t kMostSpans = 65'536;
  // Shared by the processes.
  struct Late {
    std::atomic<uint32_t> count;
    struct {
      int64_t from, to;
    } spans[kMostSpans];
  };

  void NoteLate(int64_t from, int64_t to);
  void Read(const DelayDistribution& delays, const std::string& only_payload);
  void SendDue(int64_t now);

  int device_ = -1;
  Late* late_ = nullptr;
  std::mt19937_64 random_;
  std::priority_queue<Reply, std::vector<Reply>, std::greater<>> waiting_;
};

#endif  // FASTCONTAINER_BENCHMARKS_TUN_RESPONDER_H_
