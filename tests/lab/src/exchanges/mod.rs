//! Every clinical exchange, by trade.

mod bedside;
mod imaging;
mod network;

use crate::exchange::Exchange;

pub(crate) fn all() -> Vec<Exchange> {
    [imaging::ALL, bedside::ALL, network::ALL].concat()
}
