// A WebSocket echo server on Boost.Beast, asynchronous, one thread. Usage: bench_beast_echo PORT
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdlib>
#include <memory>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : link_(std::move(socket)) {}
  void run() {
    link_.async_accept([self = shared_from_this()](beast::error_code error) {
      if (!error) self->read();
    });
  }

 private:
  void read() {
    link_.async_read(buffer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) self->write();
    });
  }
  void write() {
    link_.binary(link_.got_binary());
    link_.async_write(buffer_.data(), [self = shared_from_this()](beast::error_code error, std::size_t size) {
      if (error) return;
      self->buffer_.consume(size);
      self->read();
    });
  }

  beast::websocket::stream<beast::tcp_stream> link_;
  beast::flat_buffer buffer_;
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
        std::make_shared<Session>(std::move(socket))->run();
      }
      accept();
    });
  }
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
