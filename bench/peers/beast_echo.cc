// A WebSocket echo server on Boost.Beast, asynchronous, one thread, with the time-outs that its manual
// suggests for servers. A message that begins with 'b' goes to everybody, as the manual's chat does it: one
// shared text, and a queue for each connection. Usage: bench_beast_echo PORT
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <unordered_set>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

class Session;

struct Hall {
  std::unordered_set<Session*> present;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, Hall& hall) : link_(std::move(socket)), hall_(hall) {}
  ~Session() { hall_.present.erase(this); }

  void run() {
    link_.set_option(beast::websocket::stream_base::timeout::suggested(beast::role_type::server));
    link_.async_accept([self = shared_from_this()](beast::error_code error) {
      if (error) return;
      self->hall_.present.insert(self.get());
      self->read();
    });
  }

 private:
  void read() {
    link_.async_read(buffer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) self->take();
    });
  }

  void take() {
    const auto bytes = buffer_.data();
    if (bytes.size() > 0 && *static_cast<const char*>(bytes.data()) == 'b') {
      const auto text =
          std::make_shared<const std::string>(static_cast<const char*>(bytes.data()), bytes.size());
      for (auto* session : hall_.present) session->tell(text);
      buffer_.consume(bytes.size());
      return read();
    }
    // One write at a time: an echo would have to queue behind what is being told.
    if (!told_.empty()) {
      tell(std::make_shared<const std::string>(static_cast<const char*>(bytes.data()), bytes.size()));
      buffer_.consume(bytes.size());
      return read();
    }
    link_.binary(link_.got_binary());
    echoing_ = true;
    link_.async_write(bytes, [self = shared_from_this()](beast::error_code error, std::size_t size) {
      if (error) return;
      self->echoing_ = false;
      self->buffer_.consume(size);
      if (!self->told_.empty()) self->write_told();
      self->read();
    });
  }

  void tell(const std::shared_ptr<const std::string>& text) {
    told_.push_back(text);
    if (told_.size() == 1 && !echoing_) write_told();
  }

  void write_told() {
    link_.binary(true);
    link_.async_write(asio::buffer(*told_.front()),
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (error) return;
                        self->told_.pop_front();
                        if (!self->told_.empty()) self->write_told();
                      });
  }

  beast::websocket::stream<beast::tcp_stream> link_;
  beast::flat_buffer buffer_;
  Hall& hall_;
  std::deque<std::shared_ptr<const std::string>> told_;
  bool echoing_ = false;
};

class Server {
 public:
  Server(asio::io_context& context, unsigned short port)
      : acceptor_(context, {asio::ip::make_address_v4("127.0.0.1"), port}) {
    accept();
  }

 private:
  void accept() {
    acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (!error) {
        socket.set_option(tcp::no_delay(true));
        std::make_shared<Session>(std::move(socket), hall_)->run();
      }
      accept();
    });
  }
  Hall hall_;
  tcp::acceptor acceptor_;
};

}  // namespace

int main(int argc, char** argv) {
  asio::io_context context(1);
  Server server(context, static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 0));
  asio::signal_set signals(context, SIGTERM);
  signals.async_wait([&](beast::error_code, int) { context.stop(); });
  context.run();
}
