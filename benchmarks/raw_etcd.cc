#include "benchmarks/raw_etcd.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "benchmarks/cmdb_turns.h"

namespace fastcontainer::benchmarks {
namespace {

constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7, kWindow = 8;
constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;
constexpr size_t kFrameHeader = 9, kGrpcHeader = 5;
// So large that no window has to be opened again in a run.
constexpr uint32_t kLargestWindow = 0x7fffffff, kFirstWindow = 65'535;
constexpr std::array<std::string_view, 3> kPaths = {"/etcdserverpb.KV/Range", "/etcdserverpb.KV/Txn",
                                                    "/etcdserverpb.Watch/Watch"};

std::string BigEndian32(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift & 0xffu));
  return bytes;
}

uint32_t Read32(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// A literal of HPACK (RFC 7541, section 6.2) without Huffman coding.
void AppendText(std::string_view text, std::string* out) {
  out->push_back(static_cast<char>(text.size()));  // all are shorter than 127
  out->append(text);
}

}  // namespace

RawEtcd::RawEtcd(uint16_t port, Waits waits) : port_(port), authority_("127.0.0.1:" + std::to_string(port)) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Die("raw etcd: connect");
  if (waits == Waits::kInEpoll) {
    epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd_, &event) != 0) Die("raw etcd: epoll");
  }
  out_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  AppendFrame(kSettings, 0, 0, std::string("\0\4", 2) + BigEndian32(kLargestWindow));
  AppendFrame(kWindow, 0, 0, BigEndian32(kLargestWindow - kFirstWindow));
  Flush();
}

RawEtcd::~RawEtcd() {
  close(fd_);
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

void RawEtcd::AppendFrame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  out_ += BigEndian32(static_cast<uint32_t>(payload.size())).substr(1);
  out_.push_back(static_cast<char>(type));
  out_.push_back(static_cast<char>(flags));
  out_ += BigEndian32(stream);
  out_.append(payload);
}

// A field that was sent once is an index of the dynamic table, whose newest entry is 62 (RFC 7541, 2.3.3).
void RawEtcd::AppendField(Field field, char literal, std::string_view name, std::string_view value,
                          std::string* block) {
  uint8_t& entry = entries_[static_cast<size_t>(field)];
  if (entry != 0) {
    block->push_back(static_cast<char>(0x80 | (62 + inserted_ - entry)));
    return;
  }
  entry = ++inserted_;
  block->push_back(literal);
  if (!name.empty()) AppendText(name, block);
  AppendText(value, block);
}

uint32_t RawEtcd::Send(Path path, std::string_view message) {
  const uint32_t stream = std::exchange(next_stream_, next_stream_ + 2);
  std::string block = "\x83\x86";  // :method POST, :scheme http
  AppendField(static_cast<Field>(path), '\x44', "", kPaths[static_cast<size_t>(path)], &block);
  AppendField(Field::kAuthority, '\x41', "", authority_, &block);
  AppendField(Field::kTe, '\x40', "te", "trailers", &block);
  AppendField(Field::kContentType, '\x5f', "", "application/grpc", &block);
  AppendFrame(kHeaders, kEndHeaders, stream, block);
  std::string data(1, '\0');
  data += BigEndian32(static_cast<uint32_t>(message.size()));
  data.append(message);
  AppendFrame(kData, path == Path::kWatch ? 0 : kEndStream, stream, data);
  Flush();
  return stream;
}

void RawEtcd::Flush() {
  size_t sent = 0;
  while (sent < out_.size()) {
    const ssize_t wrote = send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (wrote <= 0) Die("raw etcd: send");
    sent += static_cast<size_t>(wrote);
  }
  out_.clear();
}

// So many bytes of what has come, waiting for them.
const char* RawEtcd::Need(size_t bytes) {
  while (in_end_ - in_begin_ < bytes) {
    if (in_begin_ > 0) {
      in_.copy(in_.data(), in_end_ - in_begin_, in_begin_);
      in_end_ -= std::exchange(in_begin_, 0);
    }
    if (in_.size() < std::max<size_t>(bytes, 1 << 18)) in_.resize(std::max<size_t>(bytes, 1 << 18));
    epoll_event event{};
    if (epoll_fd_ >= 0) epoll_wait(epoll_fd_, &event, 1, -1);
    const ssize_t got = recv(fd_, in_.data() + in_end_, in_.size() - in_end_, 0);
    if (got <= 0) Die("raw etcd: the connection ended");
    in_end_ += static_cast<size_t>(got);
  }
  return in_.data() + in_begin_;
}

void RawEtcd::ReadFrame(const OnData& on_data) {
  const char* header = Need(kFrameHeader);
  const size_t size = Read32(header) >> 8;
  const auto type = static_cast<uint8_t>(header[3]);
  const auto flags = static_cast<uint8_t>(header[4]);
  const uint32_t stream = Read32(header + 5);
  const std::string_view payload(Need(kFrameHeader + size) + kFrameHeader, size);
  in_begin_ += kFrameHeader + size;
  switch (type) {
    case kData:
      return on_data(stream, payload, (flags & kEndStream) != 0);
    case kHeaders:
      if ((flags & kEndStream) != 0) on_data(stream, {}, true);
      return;
    case kPing:
    case kSettings:
      // Goes with the next request.
      if ((flags & kAck) == 0) AppendFrame(type, kAck, 0, type == kPing ? payload : std::string_view());
      return;
    case kReset:
    case kGoAway:
      Die("raw etcd: refused");
    default:
      return;
  }
}

std::string_view RawEtcd::Await(uint32_t wanted) {
  body_.clear();
  bool ended = false;
  while (!ended) {
    ReadFrame([&](uint32_t stream, std::string_view data, bool end) {
      if (stream != wanted) return;
      body_.append(data);
      ended = end;
    });
  }
  if (body_.size() < kGrpcHeader) Die("raw etcd: an answer without a message");
  return std::string_view(body_).substr(kGrpcHeader);
}

std::string_view RawEtcd::NextMessage(uint32_t wanted) {
  body_.clear();
  while (body_.size() < kGrpcHeader || body_.size() < kGrpcHeader + Read32(body_.data() + 1)) {
    ReadFrame([&](uint32_t stream, std::string_view data, bool) {
      if (stream == wanted) body_.append(data);
    });
  }
  return std::string_view(body_).substr(kGrpcHeader);
}

}  // namespace fastcontainer::benchmarks
