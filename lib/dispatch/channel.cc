#include "lib/dispatch/channel.h"

#include <sodium.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace fastcontainer {
namespace {

// The datagram: magic and version (1), sender (8), boot (8), sequence (8), body, MAC over all before it and,
// of a question, over where it is sent to.
constexpr uint8_t kMagic = 0xf2;
constexpr size_t kHeader = 1 + 3 * sizeof(uint64_t);
constexpr size_t kMac = 16;
static_assert(kMac >= crypto_generichash_BYTES_MIN);
static_assert(sizeof(ClusterKey) == crypto_generichash_KEYBYTES);

// What seals without a cluster key: known to all, so it only keeps the format and catches damage.
constexpr ClusterKey kPublicKey = {'f', 'a', 's', 't', 'c', 'o', 'n', 't', 'a', 'i', 'n', 'e', 'r'};

void PutNumber(uint64_t value, std::string* out) {
  for (int shift = 0; shift < 64; shift += 8) out->push_back(static_cast<char>((value >> shift) & 0xff));
}

uint64_t GetNumber(std::string_view in, size_t offset) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value |= uint64_t{static_cast<uint8_t>(in[offset + i])} << (8 * i);
  return value;
}

bool IsQuestion(MessageType type) {
  return type == MessageType::kEcho || type == MessageType::kAcquire || type == MessageType::kRenew ||
         type == MessageType::kRelease || type == MessageType::kPeerProbe;
}

// What is asked of one host says nothing to another. An answer names its question, and its receiver may have
// another address for the sender than for itself: a router may be behind address translation.
bool IsBound(MessageType type) { return IsQuestion(type) || type == MessageType::kPrepare; }

// `sealed`: all before the MAC, the message's type first in its body.
std::array<uint8_t, kMac> MacOf(std::string_view sealed, const Address& to, const ClusterKey& key) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, key.data(), key.size(), kMac);
  crypto_generichash_update(&state, reinterpret_cast<const uint8_t*>(sealed.data()), sealed.size());
  if (IsBound(static_cast<MessageType>(sealed[kHeader]))) {
    std::array<uint8_t, 16 + 3> destination{};
    std::copy(to.ip.begin(), to.ip.end(), destination.begin());
    destination[16] = to.family == AF_INET6 ? 6 : 4;
    destination[17] = static_cast<uint8_t>(to.port & 0xff);
    destination[18] = static_cast<uint8_t>(to.port >> 8);
    crypto_generichash_update(&state, destination.data(), destination.size());
  }
  std::array<uint8_t, kMac> mac;
  crypto_generichash_final(&state, mac.data(), mac.size());
  return mac;
}

}  // namespace

Channel::Channel(std::unique_ptr<DatagramSocket> socket, std::vector<ClusterKey> keys, std::string_view name,
                 uint64_t boot)
    : socket_(std::move(socket)),
      keys_(std::move(keys)),
      loopback_only_(keys_.empty()),
      self_{XXH3_64bits(name.data(), name.size()), boot} {
  static const int sodium = sodium_init();  // chooses the fastest BLAKE2b; without it the portable one runs
  static_cast<void>(sodium);
  if (keys_.empty()) keys_.push_back(kPublicKey);
  buffer_.reserve(kMaxDatagram);
}

void Channel::SetKeys(std::vector<ClusterKey> keys) {
  if (!loopback_only_ && !keys.empty()) keys_ = std::move(keys);
}

void Channel::SetCallbacks(MessageCallback message, ErrorCallback error) {
  on_message_ = std::move(message);
  socket_->SetCallbacks([this](const Address& from, std::string_view datagram) { Receive(from, datagram); },
                        std::move(error));
}

void Channel::Send(const Address& to, const Message& message) {
  if (loopback_only_ && !to.IsLoopback()) {
    ++stats_.refused_address;
    return;
  }
  buffer_.clear();
  buffer_.push_back(static_cast<char>(kMagic));
  PutNumber(self_.sender, &buffer_);
  PutNumber(self_.boot, &buffer_);
  PutNumber(++sequence_, &buffer_);
  EncodeMessage(message, &buffer_);
  if (IsQuestion(message.type) && buffer_.size() < kQuestionSize - kMac)
    buffer_.resize(kQuestionSize - kMac, '\0');
  const std::array<uint8_t, kMac> mac = MacOf(buffer_, to, keys_.front());
  buffer_.append(reinterpret_cast<const char*>(mac.data()), mac.size());
  ++stats_.sent;
  socket_->Send(to, buffer_);
}

bool Channel::Authentic(std::string_view datagram) {
  const std::string_view sealed = datagram.substr(0, datagram.size() - kMac);
  const char* const mac = datagram.data() + sealed.size();
  const Address to = socket_->destination();
  for (const ClusterKey& key : keys_) {
    if (sodium_memcmp(MacOf(sealed, to, key).data(), mac, kMac) != 0) continue;
    if (&key != &keys_.front()) ++stats_.second_key;
    return true;
  }
  return false;
}

void Channel::Receive(const Address& from, std::string_view datagram) {
  if (loopback_only_ && !from.IsLoopback()) {
    ++stats_.refused_address;
    return;
  }
  if (datagram.size() <= kHeader + kMac || datagram.size() > kMaxDatagram ||
      static_cast<uint8_t>(datagram[0]) != kMagic) {
    ++stats_.malformed;
    return;
  }
  if (!Authentic(datagram)) {
    ++stats_.bad_mac;
    return;
  }
  const PeerId peer{GetNumber(datagram, 1), GetNumber(datagram, 9)};
  if (!Fresh(peer, GetNumber(datagram, 17))) {
    ++stats_.replayed;
    return;
  }
  const absl::StatusOr<Message> message =
      DecodeMessage(datagram.substr(kHeader, datagram.size() - kHeader - kMac));
  if (!message.ok()) {
    ++stats_.malformed;
    return;
  }
  ++stats_.received;
  if (on_message_) on_message_(from, peer, *message);
}

Channel::Window& Channel::WindowOf(uint64_t sender) {
  if (const auto found = windows_.find(sender); found != windows_.end()) {
    uses_.splice(uses_.end(), uses_, found->second.use);
    return found->second;
  }
  if (windows_.size() >= kMaxSenders) {
    windows_.erase(uses_.front());
    uses_.pop_front();
  }
  Window& window = windows_[sender];
  window.use = uses_.insert(uses_.end(), sender);
  return window;
}

bool Channel::Fresh(const PeerId& peer, uint64_t sequence) {
  Window& window = WindowOf(peer.sender);
  if (peer.boot < window.boot) return false;
  if (peer.boot > window.boot) {
    window.boot = peer.boot;
    window.highest = 0;
    window.seen.reset();
  }
  if (sequence > window.highest) {
    const uint64_t shift = sequence - window.highest;
    window.seen = shift < window.seen.size() ? window.seen << static_cast<size_t>(shift) : std::bitset<256>();
    window.highest = sequence;
    window.seen.set(0);
    return true;
  }
  const uint64_t age = window.highest - sequence;
  if (age >= window.seen.size() || window.seen.test(static_cast<size_t>(age))) return false;
  window.seen.set(static_cast<size_t>(age));
  return true;
}

}  // namespace fastcontainer
