//! The training examples, shortened.

#[allow(dead_code)]
#[path = "../examples/train_char.rs"]
mod train_char;
#[allow(dead_code)]
#[path = "../examples/train_digits.rs"]
mod train_digits;

#[test]
fn digits_are_read() {
    let accuracy = train_digits::train(1500, 300, 3, &mut |line| println!("{line}")).unwrap();
    // A guess is right once in ten times; the whole example comes to 0.99.
    assert!(accuracy > 0.7, "{accuracy}");
}

#[test]
fn characters_are_predicted() {
    let (model, loss) = train_char::train(40, &mut |line| println!("{line}")).unwrap();
    // ln 97 = 4.57 at first; frequencies of single characters alone come to 3.4.
    assert!(loss < 3.3, "{loss}");
    let text = model.write("fn ", 20, 1.0, &votive::Generator::new(0)).unwrap();
    assert_eq!((text.chars().count(), text.starts_with("fn ")), (23, true));
}
