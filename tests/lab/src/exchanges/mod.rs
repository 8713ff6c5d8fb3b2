//! Every clinical exchange, by trade.

mod bedside;
mod building;
mod imaging;
mod laboratory;
mod network;
mod office;

use crate::exchange::Exchange;

pub(crate) fn all() -> Vec<Exchange> {
    [
        imaging::ALL,
        bedside::ALL,
        laboratory::ALL,
        building::ALL,
        office::ALL,
        network::ALL,
    ]
    .concat()
}
