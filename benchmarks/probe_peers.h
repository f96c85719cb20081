// What the prober is set against: the least that the kernel charges for one exchange, and the designs that
// other programs have.
#ifndef FASTCONTAINER_BENCHMARKS_PROBE_PEERS_H_
#define FASTCONTAINER_BENCHMARKS_PROBE_PEERS_H_

#include <netinet/in.h>

#include <cstdint>

// An echo request of `id` and `sequence`, with its checksum.
void FillEchoRequest(uint16_t id, uint16_t sequence, uint8_t (&out)[24]);

// One send and one receive with its kernel stamp, on a ping socket that stays open (a raw one where the
// system has no ping sockets). It checks nothing: no prober can do with less.
class BareEcho {
 public:
  ~BareEcho();
  // errno, or 0.
  int Open();
  int Exchange(const sockaddr_in& to);

 private:
  int fd_ = -1;
  uint8_t request_[24];
};

// As mruby-fast-remote-check does it: a raw socket for each check, SO_RCVTIMEO as the deadline, and any echo
// reply of the address is taken for the answer. Whether there was one; *error is set if it could not ask.
bool AskByNewRawSocket(const sockaddr_in& to, int64_t timeout, int* error);

// A loop of somebody's own, as they are commonly written: poll() with the deadline in milliseconds, and the
// clock of the program decides. One socket that stays open.
class UserClock {
 public:
  ~UserClock();
  int Open();
  bool IsUp(const sockaddr_in& to, int64_t deadline);

 private:
  int fd_ = -1;
  uint16_t sequence_ = 0;
};

#endif  // FASTCONTAINER_BENCHMARKS_PROBE_PEERS_H_
