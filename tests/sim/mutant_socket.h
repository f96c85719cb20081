// A socket that makes every datagram look new, so that no replay window refuses it.
#ifndef FASTCONTAINER_TESTS_SIM_MUTANT_SOCKET_H_
#define FASTCONTAINER_TESTS_SIM_MUTANT_SOCKET_H_

#include <sodium.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "lib/dispatch/channel.h"
#include "lib/dispatch/datagram.h"

namespace fastcontainer::sim {

class ReplayedSocket final : public DatagramSocket {
 public:
  ReplayedSocket(std::unique_ptr<DatagramSocket> socket, const ClusterKey& key)
      : socket_(std::move(socket)), key_(key) {}

  void Send(const Address& to, std::string_view datagram) override { socket_->Send(to, datagram); }
  void SetCallbacks(ReceiveCallback receive, ErrorCallback error) override {
    socket_->SetCallbacks(
        [this, receive = std::move(receive)](const Address& from, std::string_view datagram) mutable {
          receive(from, Renewed(datagram));
        },
        std::move(error));
  }
  Address local_address() const override { return socket_->local_address(); }

 private:
  // Of the format in lib/dispatch/channel.cc.
  static constexpr size_t kSender = 1, kBoot = 9, kSequence = 17, kType = 25, kMac = 16;
  struct Newest {
    uint64_t boot = 0, sequence = 0;
  };
  static uint64_t Get(const std::string& in, size_t offset) {
    uint64_t value = 0;
    for (size_t i = 0; i < 8; ++i) value |= uint64_t{static_cast<uint8_t>(in[offset + i])} << (8 * i);
    return value;
  }
  static void Put(uint64_t value, size_t offset, std::string* out) {
    for (size_t i = 0; i < 8; ++i) (*out)[offset + i] = static_cast<char>((value >> (8 * i)) & 0xff);
  }

  // What is sealed with a question: the address of its receiver.
  std::string Destination(MessageType type) const {
    const bool bound = type == MessageType::kEcho || type == MessageType::kAcquire ||
                       type == MessageType::kRenew || type == MessageType::kRelease ||
                       type == MessageType::kPeerProbe || type == MessageType::kPrepare;
    if (!bound) return "";
    const Address own = socket_->local_address();
    std::string out(own.ip.begin(), own.ip.end());
    out.push_back(4);
    out.push_back(static_cast<char>(own.port & 0xff));
    out.push_back(static_cast<char>(own.port >> 8));
    return out;
  }

  std::string Renewed(std::string_view datagram) {
    std::string out(datagram);
    Newest& newest = newest_[Get(out, kSender)];
    newest.boot = std::max(newest.boot, Get(out, kBoot));
    newest.sequence = std::max(newest.sequence, Get(out, kSequence)) + 1;
    Put(newest.boot, kBoot, &out);
    Put(newest.sequence, kSequence, &out);
    out.resize(out.size() - kMac);
    const std::string sealed = out + Destination(static_cast<MessageType>(out[kType]));
    unsigned char mac[kMac];
    crypto_generichash(mac, kMac, reinterpret_cast<const unsigned char*>(sealed.data()), sealed.size(),
                       key_.data(), key_.size());
    out.append(reinterpret_cast<const char*>(mac), kMac);
    return out;
  }

  const std::unique_ptr<DatagramSocket> socket_;
  const ClusterKey key_;
  std::map<uint64_t, Newest> newest_;
};

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_MUTANT_SOCKET_H_
