// The least that a client of etcd can do: prepared requests, frames made by hand, one blocking socket.
#ifndef FASTCONTAINER_BENCHMARKS_RAW_ETCD_H_
#define FASTCONTAINER_BENCHMARKS_RAW_ETCD_H_

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fastcontainer::benchmarks {

// Speaks just enough of HTTP/2 (RFC 9113) and gRPC for a server that answers without an error; anything else
// ends the program.
class RawEtcd {
 public:
  enum class Path : uint8_t { kRange, kTxn, kWatch };
  // What an HTTP/2 frame of a stream brought.
  using OnData = std::function<void(uint32_t stream, std::string_view data, bool end)>;

  enum class Waits : uint8_t { kInEpoll, kInReceive };

  RawEtcd(uint16_t port, Waits waits);
  uint16_t port() const { return port_; }
  ~RawEtcd();
  RawEtcd(const RawEtcd&) = delete;
  RawEtcd& operator=(const RawEtcd&) = delete;

  // Its stream. A watch stays open for its answers.
  uint32_t Send(Path path, std::string_view message);
  // Waits for the answer of this stream; the view is good until the next call.
  std::string_view Await(uint32_t stream);
  std::string_view Call(Path path, std::string_view message) { return Await(Send(path, message)); }
  // Waits for one message of a stream that goes on.
  std::string_view NextMessage(uint32_t stream);
  // Waits for the next frame.
  void ReadFrame(const OnData& on_data);

 private:
  enum class Field : uint8_t { kRange, kTxn, kWatch, kAuthority, kTe, kContentType };  // first as Path

  void AppendFrame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  void AppendField(Field field, char literal, std::string_view name, std::string_view value,
                   std::string* block);
  void Flush();
  const char* Need(size_t bytes);

  const uint16_t port_;
  int fd_ = -1;
  int epoll_fd_ = -1;  // not used by one that waits in recv()
  const std::string authority_;
  uint32_t next_stream_ = 1;
  std::array<uint8_t, 6> entries_{};  // which entry of the dynamic table each field is; 0: none yet
  uint8_t inserted_ = 0;
  std::string out_;
  std::string in_;
  size_t in_begin_ = 0;
  size_t in_end_ = 0;
  std::string body_;
};

}  // namespace fastcontainer::benchmarks

#endif  // FASTCONTAINER_BENCHMARKS_RAW_ETCD_H_
