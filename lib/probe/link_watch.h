// Which of the machine's interfaces have a carrier, as rtnetlink(7) tells it. Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_LINK_WATCH_H_
#define FASTCONTAINER_LIB_PROBE_LINK_WATCH_H_

#include <stddef.h>
#include <stdint.h>

#include "fastcontainer/probe.h"

namespace fastcontainer {

class LinkWatch {
 public:
  LinkWatch() = default;
  ~LinkWatch();
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;

  // 0 or an errno; without it, nothing ever changes.
  int Open();
  int fd() const { return fd_; }

  // Reads what has happened. The number of carriers that were lost or have come back.
  uint32_t Drain();
  // Whether packets to `target` would leave by an interface that has no carrier now: the one that is asked
  // for, else the one that the routes name. The latter are looked up only if a carrier was seen to go.
  bool HasNoCarrier(const SocketAddress& target, const PacketOptions& options) const;

 private:
  static constexpr uint32_t kLinks = 256;

  struct Link {
    int index;  // 0: none
    bool carrier;
  };

  enum class News : uint8_t { kState, kCreated, kGone };

  bool Note(int index, bool carrier, News news);
  uint32_t Read(const uint8_t* data, size_t length);

  int fd_ = -1;
  uint32_t without_carrier_ = 0;
  Link links_[kLinks] = {};  // the one seen last for each remainder
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_LINK_WATCH_H_
