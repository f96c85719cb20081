#include "lib/dispatch/message.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>

#include "fastcontainer/records.h"

namespace fastcontainer {
namespace {

constexpr size_t kMaxReason = 120;
// No length of time in the protocol is longer; sums with a clock's time then cannot overflow.
constexpr Nanos kMaxDuration = 24 * 3600 * kSecond;

// Which groups of fields a type carries, in the order of the encoding.
enum Fields : uint32_t {
  kSubject = 1u << 0,  // container, replica, epoch
  kAsk = 1u << 1,      // spec_revision, suspect
  kTickets = 1u << 2,  // open, waiting
  kBusy = 1u << 3,
  kInstance = 1u << 4,
  kEndpoint = 1u << 5,  // address, slots, lease
  kProgress = 1u << 6,  // since, eta
  kHost = 1u << 7,
  kReason = 1u << 8,
  kRetry = 1u << 9,
  kWhy = 1u << 10,  // moved, suspect
  kLoad = 1u << 11,
  kVerdict = 1u << 12,
  kSlots = 1u << 13,
};

uint32_t FieldsOf(MessageType type) {
  switch (type) {
    case MessageType::kEcho:
      return 0;
    case MessageType::kEchoOk:
      return kLoad;
    case MessageType::kAcquire:
      return kSubject | kAsk | kTickets;
    case MessageType::kGrant:
      return kSubject | kInstance | kEndpoint | kLoad;
    case MessageType::kWait:
      return kSubject | kProgress | kLoad;
    case MessageType::kMoved:
      return kSubject | kHost;
    case MessageType::kFull:
      return kSubject | kReason | kRetry | kLoad;
    case MessageType::kFailed:
      return kSubject | kReason | kRetry;
    case MessageType::kRenew:
    case MessageType::kRelease:
      return kSubject | kTickets | kSlots | kBusy | kInstance;
    case MessageType::kRevoke:
      return kSubject | kInstance | kReason | kWhy;
    case MessageType::kPrepare:
      return kSubject;
    case MessageType::kPeerProbe:
      return kHost;
    case MessageType::kPeerVerdict:
      return kHost | kVerdict;
  }
  return 0;
}

class Writer {
 public:
  explicit Writer(std::string* out) : out_(out) {}

  template <std::unsigned_integral T>
  void Number(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) out_->push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
  void Flag(bool value) { Number<uint8_t>(value ? 1 : 0); }
  void Float(float value) { Number(std::bit_cast<uint32_t>(std::isfinite(value) ? value : 0.0f)); }
  void Duration(Nanos value) { Number(static_cast<uint64_t>(std::clamp<Nanos>(value, 0, kMaxDuration))); }
  void Text(std::string_view value, size_t limit) {
    value = value.substr(0, limit);
    Number(static_cast<uint8_t>(value.size()));
    out_->append(value);
  }
  void Endpoint(const Address& address) {
    const size_t length = address.family == AF_INET ? 4 : address.family == AF_INET6 ? 16 : 0;
    Number(static_cast<uint8_t>(length));
    out_->append(reinterpret_cast<const char*>(address.ip.data()), length);
    Number(address.port);
  }

 private:
  std::string* out_;
};

// Reads past the end yield zeros and clear ok(), so that the caller checks once.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  bool ok() const { return ok_; }
  std::string_view rest() const { return in_; }

  template <std::unsigned_integral T>
  T Number() {
    const std::string_view bytes = Take(sizeof(T));
    T value = 0;
    for (size_t i = 0; i < bytes.size(); ++i)
      value =
          static_cast<T>(value | static_cast<T>(static_cast<T>(static_cast<uint8_t>(bytes[i])) << (8 * i)));
    return value;
  }
  bool Flag() {
    const uint8_t value = Number<uint8_t>();
    ok_ = ok_ && value <= 1;
    return value == 1;
  }
  float Float() {
    const float value = std::bit_cast<float>(Number<uint32_t>());
    ok_ = ok_ && std::isfinite(value);
    return ok_ ? value : 0.0f;
  }
  Nanos Duration() {
    const uint64_t value = Number<uint64_t>();
    ok_ = ok_ && value <= static_cast<uint64_t>(kMaxDuration);
    return ok_ ? static_cast<Nanos>(value) : 0;
  }
  std::string Text(size_t limit) {
    const size_t length = Number<uint8_t>();
    ok_ = ok_ && length <= limit;
    return std::string(Take(length));
  }
  Address Endpoint() {
    Address address;
    const size_t length = Number<uint8_t>();
    ok_ = ok_ && (length == 0 || length == 4 || length == 16);
    const std::string_view ip = Take(length);
    if (ip.size() == 4) address.family = AF_INET;
    if (ip.size() == 16) address.family = AF_INET6;
    if (address.family != 0)
      std::transform(ip.begin(), ip.end(), address.ip.begin(),
                     [](char c) { return static_cast<uint8_t>(c); });
    address.port = Number<uint16_t>();
    return address;
  }

 private:
  std::string_view Take(size_t length) {
    if (!ok_ || length > in_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = in_.substr(0, length);
    in_.remove_prefix(length);
    return taken;
  }

  std::string_view in_;
  bool ok_ = true;
};

void WriteLoad(const LoadReport& load, Writer* to) {
  to->Float(load.free_cpu);
  to->Number(load.free_memory);
  to->Float(load.pressure);
  to->Number(load.running);
  to->Number(load.starting);
  to->Flag(load.overloaded);
  to->Number(load.ask_every_ms);
}

LoadReport ReadLoad(Reader* from) {
  LoadReport load;
  load.free_cpu = from->Float();
  load.free_memory = from->Number<uint64_t>();
  load.pressure = from->Float();
  load.running = from->Number<uint32_t>();
  load.starting = from->Number<uint32_t>();
  load.overloaded = from->Flag();
  load.ask_every_ms = from->Number<uint32_t>();
  return load;
}

void ReadFields(uint32_t fields, Reader* from, Message* message) {
  if (fields & kSubject) {
    message->container = from->Text(kMaxNameLength);
    message->replica = from->Number<uint32_t>();
    message->epoch = from->Number<uint64_t>();
  }
  if (fields & kAsk) {
    message->spec_revision = from->Number<uint64_t>();
    message->suspect = from->Flag();
  }
  if (fields & kTickets) {
    message->open = from->Number<uint32_t>();
    message->waiting = from->Number<uint32_t>();
  }
  if (fields & kSlots) message->slots = from->Number<uint32_t>();
  if (fields & kBusy) message->busy_ns = from->Number<uint64_t>();
  if (fields & kInstance) message->instance = from->Number<uint64_t>();
  if (fields & kEndpoint) {
    message->address = from->Endpoint();
    message->slots = from->Number<uint32_t>();
    message->lease = from->Duration();
  }
  if (fields & kProgress) {
    message->since = from->Duration();
    message->eta = from->Duration();
  }
  if (fields & kHost) message->host = from->Text(kMaxNameLength);
  if (fields & kReason) message->reason = from->Text(kMaxReason);
  if (fields & kRetry) message->retry_after = from->Duration();
  if (fields & kWhy) {
    message->moved = from->Flag();
    message->suspect = from->Flag();
  }
  if (fields & kLoad) message->load = ReadLoad(from);
  if (fields & kVerdict) message->verdict = static_cast<PeerVerdict>(from->Number<uint8_t>());
}

}  // namespace

void EncodeMessage(const Message& message, std::string* out) {
  Writer to(out);
  const uint32_t fields = FieldsOf(message.type);
  to.Number(static_cast<uint8_t>(message.type));
  to.Number(message.request_id);
  if (fields & kSubject) {
    to.Text(message.container, kMaxNameLength);
    to.Number(message.replica);
    to.Number(message.epoch);
  }
  if (fields & kAsk) {
    to.Number(message.spec_revision);
    to.Flag(message.suspect);
  }
  if (fields & kTickets) {
    to.Number(message.open);
    to.Number(message.waiting);
  }
  if (fields & kSlots) to.Number(message.slots);
  if (fields & kBusy) to.Number(message.busy_ns);
  if (fields & kInstance) to.Number(message.instance);
  if (fields & kEndpoint) {
    to.Endpoint(message.address);
    to.Number(message.slots);
    to.Duration(message.lease);
  }
  if (fields & kProgress) {
    to.Duration(message.since);
    to.Duration(message.eta);
  }
  if (fields & kHost) to.Text(message.host, kMaxNameLength);
  if (fields & kReason) to.Text(message.reason, kMaxReason);
  if (fields & kRetry) to.Duration(message.retry_after);
  if (fields & kWhy) {
    to.Flag(message.moved);
    to.Flag(message.suspect);
  }
  if (fields & kLoad) WriteLoad(message.load, &to);
  if (fields & kVerdict) to.Number(static_cast<uint8_t>(message.verdict));
}

absl::StatusOr<Message> DecodeMessage(std::string_view body) {
  Reader from(body);
  Message message;
  const uint8_t type = from.Number<uint8_t>();
  if (type < static_cast<uint8_t>(MessageType::kEcho) ||
      type > static_cast<uint8_t>(MessageType::kPeerVerdict))
    return absl::InvalidArgumentError("dispatch message: unknown type");
  message.type = static_cast<MessageType>(type);
  message.request_id = from.Number<uint64_t>();
  const uint32_t fields = FieldsOf(message.type);
  ReadFields(fields, &from, &message);
  if (!from.ok())
    return absl::InvalidArgumentError("dispatch message: cut short, or a field out of its range");
  if ((fields & kSubject) && message.container.empty())
    return absl::InvalidArgumentError("dispatch message: no container");
  const std::string_view rest = from.rest();
  if (std::any_of(rest.begin(), rest.end(), [](char c) { return c != 0; }))
    return absl::InvalidArgumentError("dispatch message: bytes after the end that are not padding");
  return message;
}

}  // namespace fastcontainer
