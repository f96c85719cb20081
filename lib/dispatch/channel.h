// Authenticated messages over a datagram socket: MAC under the cluster key, replay window per sender,
// padding.
#ifndef FASTCONTAINER_LIB_DISPATCH_CHANNEL_H_
#define FASTCONTAINER_LIB_DISPATCH_CHANNEL_H_

#include <array>
#include <bitset>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "fastcontainer/address.h"
#include "fastcontainer/reactor.h"
#include "lib/dispatch/datagram.h"
#include "lib/dispatch/message.h"

namespace fastcontainer {

using ClusterKey = std::array<uint8_t, 32>;
// Reads the cluster key file: one or two lines of 64 hex digits; the first signs, both are accepted. Errors
// name the file, the line and what is accepted; PermissionDenied if others than the owner (and group) can
// read it.
absl::StatusOr<std::vector<ClusterKey>> ReadClusterKeyFile(const std::string& path);

// What a key may be called in a log: 8 hex digits that say nothing of it.
std::string ClusterKeyName(const ClusterKey& key);

// Who sent a message: a name's hash and the boot of its process. A boot is never smaller than an earlier
// one's.
struct PeerId {
  uint64_t sender = 0;
  uint64_t boot = 0;
  bool operator==(const PeerId&) const = default;
  auto operator<=>(const PeerId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const PeerId& p) {
    return H::combine(std::move(h), p.sender, p.boot);
  }
};

class Channel {
 public:
  using MessageCallback =
      absl::AnyInvocable<void(const Address& from, const PeerId& peer, const Message& message)>;
  using ErrorCallback = DatagramSocket::ErrorCallback;
  static constexpr size_t kMaxSenders = 65'536;
  struct Stats {
    uint64_t sent = 0, received = 0, bad_mac = 0, replayed = 0, malformed = 0, refused_address = 0;
    uint64_t second_key = 0;  // of those received: sealed with the key that this channel does not sign with
  };

  // No keys: a fixed public key seals (so that the format is the same), and datagrams go to and are taken
  // from loopback addresses only. `boot` grows with each start of the process: nanoseconds of the wall clock.
  Channel(std::unique_ptr<DatagramSocket> socket, std::vector<ClusterKey> keys, std::string_view name,
          uint64_t boot);

  // One or two keys instead of those before; a channel without keys takes none. Sequences and windows go on.
  void SetKeys(std::vector<ClusterKey> keys);
  void SetCallbacks(MessageCallback message, ErrorCallback error);
  // Seals and sends; questions (ECHO, ACQUIRE, RENEW, RELEASE) are padded to kQuestionSize.
  void Send(const Address& to, const Message& message);
  Address local_address() const { return socket_->local_address(); }
  const Stats& stats() const { return stats_; }

 private:
  struct Window {  // of the newest boot of one sender
    uint64_t boot = 0;
    uint64_t highest = 0;
    std::bitset<256> seen;  // bit 0: `highest`, bit n: the sequence n before it
    std::list<uint64_t>::iterator use;
  };
  void Receive(const Address& from, std::string_view datagram);
  bool Authentic(std::string_view datagram);
  bool Fresh(const PeerId& peer, uint64_t sequence);
  Window& WindowOf(uint64_t sender);

  std::unique_ptr<DatagramSocket> socket_;
  std::vector<ClusterKey> keys_;
  const bool loopback_only_;
  const PeerId self_;
  uint64_t sequence_ = 0;
  absl::flat_hash_map<uint64_t, Window> windows_;  // by sender, at most kMaxSenders
  std::list<uint64_t> uses_;                       // senders, the longest unused first
  MessageCallback on_message_;
  Stats stats_;
  std::string buffer_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCH_CHANNEL_H_
