// A network of the benchmark's own: two namespaces without a name and a veth between them. They vanish with
// the processes in them, however those end; nothing is sent or set outside of them.
#ifndef FASTCONTAINER_BENCHMARKS_PROBE_LAB_H_
#define FASTCONTAINER_BENCHMARKS_PROBE_LAB_H_

#include <netinet/in.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

namespace lab {

inline constexpr char kLoopback[] = "127.0.0.1";
inline constexpr char kNear[] = "10.201.0.1";
inline constexpr char kFar[] = "10.201.0.2";
inline constexpr char kCrowd[] = "10.88.0.1";    // the first of 65,535, all of which the far side answers
inline constexpr char kSilent[] = "10.89.0.1";   // of 65,535 that the far side drops without a word
inline constexpr char kDelayed[] = "10.99.0.1";  // of 65,535 behind the TUN device, where there is one

inline constexpr int64_t kMicrosecond = 1'000;
inline constexpr int64_t kMillisecond = 1'000'000;
inline constexpr int64_t kSecond = 1'000'000'000;

// Puts this process into the near side, which permits ping sockets; the veth leads to the far side. To be
// called before there are threads. Empty, or why there can be no lab here. Without root it tries a user
// namespace.
std::string Open();

sockaddr_in Address(const char* numeric, uint32_t plus = 0);
int64_t Now();  // CLOCK_MONOTONIC

// A child that dies with this process, and is on the far side if it is to be the peer. `work` returns its
// exit code.
enum class Side { kProber, kPeer };
pid_t Spawn(const std::function<int()>& work, Side side = Side::kProber);
// Ends it and waits for it.
void End(pid_t child);

// `count` children that compute, at nice 0, until they are ended or `seconds` have passed.
class Hogs {
 public:
  Hogs(int count, int seconds);
  ~Hogs();

 private:
  static constexpr int kMost = 128;
  int count_;
  pid_t children_[kMost];
};

// Gives this process one of its processors; false if it has no such number of them.
bool Pin(int nth);

}  // namespace lab

#endif  // FASTCONTAINER_BENCHMARKS_PROBE_LAB_H_
